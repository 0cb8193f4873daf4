"""The application behind CometBFT: proposals, vote extensions, one atomic store. The only importer of plyvel."""
