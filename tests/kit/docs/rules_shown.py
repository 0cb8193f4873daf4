"""For each rule of docs/protocol.md the test that shows it taking and the test that shows it refusing.

Where one table of cases shows both, its test stands twice. ``test_rules_cited.py`` sees to it that none is missing.
"""

_MACHINE = "tests/unit/machine/"
_NODE = "tests/unit/node/"
_PROPERTY = "tests/property/"

SHOWN: dict[str, tuple[str, str]] = {
    "ORD-1": (
        _MACHINE + "test_block.py::test_renewals_come_before_auctions_and_both_by_acceptance",
        _MACHINE + "assignment/test_auction.py::test_auctions_see_the_reservations_of_those_before",
    ),
    "ORD-2": (
        _MACHINE + "test_life_cycle.py::test_decisions_are_numbered_without_gaps",
        _PROPERTY + "test_machine_traffic.py::test_traffic",
    ),
    "ORD-3": (
        _MACHINE + "test_life_cycle.py::test_acceptance_numbers_are_one_counter",
        _MACHINE + "events/test_events.py::test_xcalled",
    ),
    "ORD-4": (
        _MACHINE + "test_block.py::test_the_vectors_replay",
        _MACHINE + "test_block.py::test_changes_are_all_there_is",
    ),
    "ORD-5": (
        _MACHINE + "events/test_events.py::test_absurd_values_stop_nothing",
        _MACHINE + "test_block.py::test_rejected_transactions_leave_no_trace",
    ),
    "ORD-6": (
        _MACHINE + "test_upgrades.py::test_a_rule_changes_at_its_height_and_not_before",
        _NODE + "test_node_upgrades.py::test_versions_that_this_program_does_not_know_are_refused",
    ),
    "COD-1": (
        _MACHINE + "state/test_codec.py::test_cod_1_each_type_has_its_pinned_bytes",
        _MACHINE + "state/test_codec.py::test_cod_1_refuses_a_value_out_of_its_range",
    ),
    "COD-2": (
        _PROPERTY + "test_codec_property.py::test_every_record_survives_and_has_one_encoding",
        _MACHINE + "state/test_codec.py::test_cod_2_refuses_what_no_value_encodes_to",
    ),
    "TRE-1": (
        _MACHINE + "state/test_tree.py::test_tre_1_roots_are_pinned",
        _MACHINE + "state/test_tree.py::test_tre_3_refuses_to_confuse_keys_values_and_places",
    ),
    "TRE-2": (
        _PROPERTY + "test_tree_property.py::test_every_key_is_proven_to_be_there_or_not",
        _PROPERTY + "test_tree_property.py::test_a_corrupted_proof_refuses",
    ),
    "TRE-3": (
        _PROPERTY + "test_tree_property.py::test_any_history_gives_the_root_of_its_outcome",
        _MACHINE + "state/test_tree.py::test_tre_3_refuses_to_confuse_keys_values_and_places",
    ),
    "TX-1": (
        _MACHINE + "transactions/test_tx.py::test_decodes_what_clients_encode",
        _MACHINE + "transactions/test_tx.py::test_tx_1_refuses_every_other_encoding",
    ),
    "TX-2": (
        _MACHINE + "transactions/test_transfer_infos.py::test_a_slow_transfer_gets_its_info_and_waits_for_its_message",
        _MACHINE + "transactions/test_transfer_infos.py::test_tx_2_refuses_what_completes_nothing",
    ),
    "BID-1": (
        _MACHINE + "transactions/test_tx.py::test_encode_bundle_sorts",
        _MACHINE + "transactions/test_tx.py::test_bid_1_refuses_other_shapes",
    ),
    "BID-2": (
        _MACHINE + "test_connext_vectors.py::test_signatures_that_execute_accepts",
        _MACHINE + "transactions/test_bids.py::test_bid_2_refuses_signatures_of_others",
    ),
    "BID-3": (
        _MACHINE + "transactions/test_bids.py::test_bid_3_the_other_bids_of_a_bundle_stand",
        _MACHINE + "transactions/test_bids.py::test_bid_3_every_refusal_of_the_state_has_its_code",
    ),
    "BID-4": (
        _MACHINE + "transactions/test_bids.py::test_bid_4_bids_merge_and_the_first_signature_stays",
        _MACHINE + "transactions/test_bids.py::test_bid_4_short_liquidity_refuses_no_bid",
    ),
    "BID-5": (
        _MACHINE + "test_life_cycle.py::test_a_withdraw_before_renewal",
        _MACHINE + "transactions/test_bids.py::test_bid_5_refuses_withdraws_that_are_not_the_routers",
    ),
    "BID-6": (
        _MACHINE + "transactions/test_admission.py::test_bid_6_admits_bids_for_known_and_for_seen_transfers",
        _MACHINE + "transactions/test_admission.py::test_bid_6_refuses_a_bundle_of_which_any_bid_would_be_skipped",
    ),
    "BID-7": (
        _NODE + "consensus/test_node_proposals.py::test_the_honest_block_is_as_meant",
        _MACHINE + "transactions/test_admission.py::test_bid_7_refuses_bids_nobody_accepted_yet",
    ),
    "ASN-1": (
        _MACHINE + "assignment/test_auction.py::test_a_single_validator_waits_for_nobody",
        _MACHINE + "assignment/test_auction.py::test_one_proposer_alone_keeps_the_auction_open_for_a_while",
    ),
    "ASN-2": (
        _MACHINE + "assignment/test_auction.py::test_the_first_path_length_with_enough_routers_decides",
        _MACHINE + "assignment/test_auction.py::test_feasibility",
    ),
    "ASN-3": (
        _MACHINE + "assignment/test_auction.py::test_shares_bound_every_debit",
        _MACHINE + "test_connext_vectors.py::test_one_share_bounds_every_debit",
    ),
    "ASN-4": (
        _MACHINE + "ledger/test_fair_queue.py::test_against_the_model",
        _MACHINE + "ledger/test_fair_queue.py::test_ties_are_broken_by_the_transfer",
    ),
    "ASN-5": (
        _MACHINE + "assignment/test_auction.py::test_the_winners_can_be_recomputed_from_the_record",
        _MACHINE + "assignment/test_auction.py::test_why_nobody_was_feasible_is_recorded",
    ),
    "ASN-6": (
        _MACHINE + "test_life_cycle.py::test_an_older_attempt_executed",
        _MACHINE + "assignment/test_auction.py::test_a_router_charged_again_has_nothing_to_be_put_back",
    ),
    "ASN-7": (
        _MACHINE + "ledger/test_fair_queue.py::test_the_promise",
        _MACHINE + "ledger/test_fair_queue.py::test_an_unfair_choice_breaks_the_promise",
    ),
    "LIQ-1": (
        _MACHINE + "ledger/test_liquidity.py::test_reservations",
        _MACHINE + "ledger/test_liquidity.py::test_what_is_not_free_is_never_reserved",
    ),
    "LIQ-2": (
        _MACHINE + "test_life_cycle.py::test_fee_numerator_changed_in_between",
        _MACHINE + "events/test_events.py::test_executed_and_reconciled_beside_the_destination",
    ),
    "LIQ-3": (
        _MACHINE + "events/test_events.py::test_portal_events_make_a_router_ineligible",
        _MACHINE + "ledger/test_liquidity.py::test_a_debit_above_the_balance_leaves_zero",
    ),
    "LSE-1": (
        _MACHINE + "assignment/test_leases.py::test_valid_until",
        _MACHINE + "events/test_events.py::test_absurd_timestamps_stop_nothing",
    ),
    "LSE-2": (
        _MACHINE + "test_life_cycle.py::test_all_relayers_down_for_one_lease",
        _MACHINE + "test_life_cycle.py::test_an_attempt_over_by_a_second_is_not_over_at_its_last",
    ),
    "LSE-3": (
        _MACHINE + "test_life_cycle.py::test_all_relayers_down_for_one_lease",
        _MACHINE + "assignment/test_leases.py::test_when_an_attempt_is_renewed",
    ),
    "LSE-4": (
        _MACHINE + "test_life_cycle.py::test_liquidity_removed_after_winning",
        _MACHINE + "assignment/test_leases.py::test_renewal_of_a_path_is_of_the_whole_path",
    ),
    "LSE-5": (
        _MACHINE + "test_life_cycle.py::test_slow_by_deadline_then_executed_from_outside",
        _MACHINE + "test_life_cycle.py::test_held_and_released",
    ),
    "LSE-6": (
        _MACHINE + "test_life_cycle.py::test_held_and_released",
        _MACHINE + "assignment/test_leases.py::test_more_than_eight_live_unattested_batches_hold_every_lane",
    ),
    "LSE-7": (
        _MACHINE + "assignment/test_leases.py::test_gas_limits",
        _MACHINE + "assignment/test_leases.py::test_gas_never_exceeds_what_a_block_has_room_for",
    ),
    "FLT-1": (
        _MACHINE + "test_life_cycle.py::test_liquidity_removed_after_winning",
        _MACHINE + "ledger/test_liquidity.py::test_a_fault_is_to_leave_less_than_is_reserved",
    ),
    "FLT-2": (
        _MACHINE + "events/test_events.py::test_executed_clears_faults",
        _MACHINE + "assignment/test_leases.py::test_when_an_attempt_is_renewed",
    ),
    "FLT-3": (
        _MACHINE + "test_life_cycle.py::test_reverting_receiver",
        _MACHINE + "assignment/test_leases.py::test_attempts_in_vain_are_no_fault",
    ),
    "EVT-1": (
        _MACHINE + "events/test_events.py::test_a_nonce_gap_is_taken_with_an_alarm",
        _MACHINE + "events/test_events.py::test_xcalled_whose_info_hashes_to_another_id",
    ),
    "EVT-2": (
        _MACHINE + "test_life_cycle.py::test_an_early_bid_is_taken_in_the_block_that_accepts",
        _MACHINE + "events/test_events.py::test_xcalled",
    ),
    "EVT-3": (
        _MACHINE + "events/test_events.py::test_executed_and_reconciled_in_every_status",
        _MACHINE + "events/test_events.py::test_executed_and_reconciled_beside_the_destination",
    ),
    "EVT-4": (
        _MACHINE + "test_life_cycle.py::test_reconciled_while_assigned",
        _MACHINE + "events/test_events.py::test_executed_and_reconciled_beside_the_destination",
    ),
    "EVT-5": (
        _MACHINE + "events/test_events.py::test_events_of_a_domain",
        _MACHINE + "events/test_events.py::test_recorded_only",
    ),
    "SLW-1": (
        _MACHINE + "test_life_cycle.py::test_reconciled_while_assigned",
        _MACHINE + "assignment/test_leases.py::test_slow_decisions_wait_for_a_held_lane",
    ),
    "SLW-2": (
        _MACHINE + "assignment/test_leases.py::test_slow_decisions_double_their_spacing",
        _MACHINE + "assignment/test_leases.py::test_slow_decisions_need_their_fee",
    ),
    "SLW-3": (
        _MACHINE + "events/test_events.py::test_options_start_slow_attempts_again",
        _MACHINE + "events/test_events.py::test_options_of_other_transfers_start_nothing",
    ),
    "SLW-4": (
        _MACHINE + "assignment/test_leases.py::test_slow_and_reconciled_transfers_are_dropped",
        _MACHINE + "events/test_events.py::test_options_start_slow_attempts_again",
    ),
    "LIM-1": (
        _MACHINE + "events/test_events.py::test_long_call_data_goes_slow_until_its_info_is_submitted",
        _MACHINE + "transactions/test_transfer_infos.py::test_tx_2_refuses_what_completes_nothing",
    ),
    "LIM-2": (
        _MACHINE + "events/test_events.py::test_asset_added_and_removed",
        _MACHINE + "events/test_events.py::test_xcalled",
    ),
    "LIM-3": (
        _MACHINE + "test_life_cycle.py::test_completed_transfers_are_pruned",
        _MACHINE + "assignment/test_leases.py::test_batches_go_with_the_last_of_their_decisions",
    ),
    "LIM-4": (
        _MACHINE + "events/test_events.py::test_a_later_xcalled_takes_its_stubs_status",
        _MACHINE + "events/test_events.py::test_stubs_are_kept_for_origins_that_are_our_domains",
    ),
    "LIM-5": (
        _MACHINE + "test_life_cycle.py::test_completed_transfers_are_pruned",
        _MACHINE + "assignment/test_leases.py::test_slow_and_reconciled_transfers_are_dropped",
    ),
    "LIM-6": (
        _MACHINE + "events/test_events.py::test_fees_are_summed_and_bounded",
        _MACHINE + "assignment/test_auction.py::test_the_fee_table",
    ),
    "SEG-1": (
        _PROPERTY + "test_segments_property.py::test_prompt_late_and_restarted_observers_cut_alike",
        _MACHINE + "observation/test_reports.py::test_an_end_that_the_cutting_rule_allows",
    ),
    "SEG-2": (
        _MACHINE + "observation/test_stream.py::test_seg_2_every_projection_has_its_pinned_bytes",
        _MACHINE + "observation/test_stream.py::test_seg_2_refuses_unknown_kinds_and_other_bytes",
    ),
    "SEG-3": (
        _MACHINE + "observation/test_reports.py::test_an_end_that_the_cutting_rule_allows",
        _MACHINE + "observation/test_reports.py::test_a_segment_fits_its_domain",
    ),
    "SEG-4": (
        _MACHINE + "observation/test_stream.py::test_seg_4_segments_and_running_digests_are_pinned",
        _MACHINE + "observation/test_reports.py::test_segments_that_were_not_agreed",
    ),
    "SEG-5": (
        _PROPERTY + "test_segments_property.py::test_a_cut_by_a_cap_waits_for_the_next_event_not_for_the_grid",
        _PROPERTY + "test_segments_property.py::test_every_segment_is_what_the_rule_says",
    ),
    "EXT-1": (
        _MACHINE + "observation/test_extension.py::test_ext_1_bytes_are_pinned",
        _PROPERTY + "test_codec_property.py::test_extensions_have_one_encoding",
    ),
    "EXT-2": (
        _NODE + "consensus/test_node_vote_extension.py::test_only_form_is_verified",
        _MACHINE + "observation/test_extension.py::test_ext_2_refuses_what_is_not_canonical",
    ),
    "EXT-3": (
        _MACHINE + "observation/test_extension.py::test_ext_3_accepts_a_wrong_batch_signature",
        _NODE + "consensus/test_node_vote_extension.py::test_only_form_is_verified",
    ),
    "EXT-4": (
        _NODE + "consensus/test_node_vote_extension.py::test_until_attested_the_missing_signatures_are_sent_again",
        _MACHINE + "observation/test_reports.py::test_who_owes_a_signature",
    ),
    "REP-1": (
        _MACHINE + "observation/test_reports.py::test_what_is_put_on_record",
        _MACHINE + "observation/test_reports.py::test_reports_of_what_domains_count",
    ),
    "REP-2": (
        _MACHINE + "observation/test_reports.py::test_agreement",
        _NODE + "consensus/test_node_prepare.py::test_two_thirds_are_not_enough_and_more_is",
    ),
    "REP-3": (
        _MACHINE + "observation/test_reports.py::test_no_digest_can_be_agreed",
        _MACHINE + "observation/test_reports.py::test_while_the_silent_can_help_there_is_no_alarm",
    ),
    "REP-4": (
        _MACHINE + "observation/test_reports.py::test_segments_between_need_no_agreement_of_their_own",
        _MACHINE + "observation/test_reports.py::test_check_segments",
    ),
    "COM-1": (
        _NODE + "consensus/test_node_proposals.py::test_the_honest_block_is_as_meant",
        _NODE + "consensus/test_node_proposals.py::test_a_commit_must_be_first",
    ),
    "COM-2": (
        _NODE + "consensus/test_node_prepare.py::test_votes_that_do_not_verify_are_pruned_and_the_rest_counts",
        _NODE + "consensus/test_node_proposals.py::test_round_and_flags_must_be_the_block_s",
    ),
    "COM-3": (
        _NODE + "consensus/test_node_prepare.py::test_order_is_commit_segments_awaited_bids_the_rest",
        _MACHINE + "test_block.py::test_injected_kinds_out_of_place_have_a_code_and_no_effect",
    ),
    "COM-4": (
        _NODE + "test_node_block_size.py::test_a_block_of_that_many_is_taken",
        _NODE + "test_node_block_size.py::test_one_more_is_refused",
    ),
    "BAT-1": (
        _MACHINE + "decisions/test_batches.py::test_leaves_stand_by_domain_and_decisions_by_sequence",
        _MACHINE + "decisions/test_batches.py::test_leaves_are_cut_by_entries_and_gas",
    ),
    "BAT-2": (
        _MACHINE + "decisions/test_batches.py::test_vectors_agree_with_a_second_implementation",
        _MACHINE + "decisions/test_batches.py::test_every_field_changes_the_digest",
    ),
    "BAT-3": (
        _MACHINE + "decisions/test_batches.py::test_leaf_proofs_of_a_batch_lead_to_its_root",
        _MACHINE + "decisions/test_batches.py::test_proofs_lead_to_the_root_and_nowhere_else",
    ),
    "BAT-4": (
        _MACHINE + "decisions/test_batches.py::test_vectors_agree_with_a_second_implementation",
        _MACHINE + "decisions/test_batches.py::test_every_field_changes_the_digest",
    ),
    "BAT-5": (
        _MACHINE + "observation/test_reports.py::test_a_batch_is_attested_by_more_than_two_thirds_of_the_power",
        _MACHINE + "observation/test_reports.py::test_a_wrong_signature_counts_as_none",
    ),
    "BAT-6": (
        _MACHINE + "decisions/test_batches.py::test_vectors_are_signed_in_the_gates_order",
        _MACHINE + "decisions/test_batches.py::test_signers_stand_by_address",
    ),
    "BAT-7": (
        "tests/contracts/gate/test_gate_callers.py::test_a_plain_account_is_let_in",
        "tests/contracts/gate/test_gate_callers.py::test_a_contract_is_refused",
    ),
    "GEN-1": (
        _MACHINE + "genesis/test_genesis.py::test_gen_1_takes_the_bounds",
        _MACHINE + "genesis/test_genesis.py::test_gen_1_refuses_values_out_of_range",
    ),
    "GEN-2": (
        _MACHINE + "genesis/test_genesis.py::test_gen_2_the_first_epoch_has_cometbfts_order",
        _MACHINE + "genesis/test_genesis.py::test_gen_2_refuses_other_validators_and_unproven_keys",
    ),
    "GEN-3": (
        _MACHINE + "genesis/test_genesis.py::test_gen_3_the_first_state_holds_every_record",
        _MACHINE + "genesis/test_genesis.py::test_gen_1_a_fee_table_and_a_single_domain",
    ),
}
