// Compiles every .sol of this folder with the pinned solc into out/<Contract>.json (abi, both bytecodes, immutables).
// Does nothing when neither the sources nor the settings nor the compiler changed: out/.stamp holds their hash.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");

const ROOT = __dirname;
const OUT = path.join(ROOT, "out");
const STAMP = path.join(OUT, ".stamp");
const FOLDERS = [".", "interfaces", "libraries", "test"];
const SETTINGS = {
  optimizer: { enabled: true, runs: 1000000 },
  viaIR: true,
  evmVersion: "cancun",
  metadata: { bytecodeHash: "none" },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode"] } },
};

function listSources() {
  const names = FOLDERS.flatMap((folder) =>
    fs.readdirSync(path.join(ROOT, folder)).filter((name) => name.endsWith(".sol")).map((name) => path.posix.join(folder, name)),
  );
  return Object.fromEntries(names.sort().map((name) => [name, fs.readFileSync(path.join(ROOT, name), "utf8")]));
}

function hashInputs(sources) {
  const hash = crypto.createHash("sha256");
  const lock = fs.readFileSync(path.join(ROOT, "package-lock.json"), "utf8");
  hash.update(JSON.stringify([sources, SETTINGS, lock, fs.readFileSync(__filename, "utf8")]));
  return hash.digest("hex");
}

function compile(sources) {
  const solc = require("solc");
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).map(([name, content]) => [name, { content }])),
    settings: SETTINGS,
  };
  const findImport = (name) => {
    try {
      return { contents: fs.readFileSync(require.resolve(name, { paths: [ROOT] }), "utf8") };
    } catch (error) {
      return { error: String(error) };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const problems = (output.errors || []).filter((problem) => problem.severity !== "info");
  for (const problem of problems) console.error(problem.formattedMessage);
  if (problems.length > 0) process.exit(1); // a warning too: none is left standing
  return output.contracts;
}

function write(sources, contracts) {
  fs.mkdirSync(OUT, { recursive: true });
  fs.rmSync(STAMP, { force: true });
  for (const name of Object.keys(sources)) {
    for (const [contract, built] of Object.entries(contracts[name] || {})) {
      const artifact = {
        abi: built.abi,
        bytecode: "0x" + built.evm.bytecode.object,
        deployedBytecode: "0x" + built.evm.deployedBytecode.object,
        immutables: Object.values(built.evm.deployedBytecode.immutableReferences || {}).map((places) =>
          places.map(({ start, length }) => [start, length]).sort(([first], [second]) => first - second),
        ),
      };
      fs.writeFileSync(path.join(OUT, `${contract}.json`), JSON.stringify(artifact));
    }
  }
}

const sources = listSources();
const stamp = hashInputs(sources);
if (!fs.existsSync(STAMP) || fs.readFileSync(STAMP, "utf8") !== stamp) {
  write(sources, compile(sources));
  fs.writeFileSync(STAMP, stamp);
}
