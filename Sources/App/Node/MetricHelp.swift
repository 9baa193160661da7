/// What each metric means, for `/metrics`.
package enum MetricHelp {
    package static let texts: [String: String] = [
        "vireo_recommendations_total": "Recommendations served, by the tier the pool came from.",
        "vireo_shown_items_total":
            "Items of slates that were shown, as impressions tell it, by what the slate was made of; other: beyond 200 sources of a process.",
        "vireo_attributed_events_total":
            "Clicks and purchases that came with a tracking token, by what the slate was made of.",
        "vireo_shown_categories": "First categories among what was shown of a slate, by what it was made of.",
        "vireo_fallbacks_total": "Recommendations that were not the user's own fresh list, by kind.",
        "vireo_degraded_total":
            "Recommendations marked degraded, by the part that they had to do without; unverified: what the user has seen or does not want was not known.",
        "vireo_stage_seconds": "Time of each stage of a recommendation, by the tier the pool came from.",
        "vireo_pool_age_seconds": "Age of the pool when it was served: staleness at serve.",
        "vireo_pool_candidates": "Unseen candidates in a computed pool.",
        "vireo_http_calls_in_progress": "Calls that have a place among those in progress, by class of routes.",
        "vireo_http_calls_refused_total":
            "Calls answered 503 because as many of their class were in progress as may be.",
        "vireo_rate_limited_total":
            "Calls answered 429 by the limit of their key: of the fleet's bucket in Redis, or of this node's share where that does not answer.",
        "vireo_cache_hits_total": "Values that were there, by cache and tier.",
        "vireo_cache_misses_total": "Values that were not there, by cache and tier.",
        "vireo_cache_errors_total": "Looks and loads that failed, by cache and tier.",
        "vireo_cache_verified_total": "Entries of L1 checked and stamped anew, by who did it.",
        "vireo_cache_void_total": "Entries found older than what is served, by tier.",
        "vireo_cache_stale_served_total": "Answers past their soft expiry, because the refresh failed or was slow.",
        "vireo_cache_stale_refused_total":
            "Copies past their soft expiry that were invalidated before they were served.",
        "vireo_cache_refreshes_total": "Refreshes in the background, by result.",
        "vireo_cache_early_refreshes_total": "Refreshes begun ahead of the expiry.",
        "vireo_cache_load_seconds": "Time to compute or load a value, by cache.",
        "vireo_cache_payload_bytes": "Bytes of a value when it was computed or loaded, by cache.",
        "vireo_cache_flight_waiters": "Requests that waited for one computation.",
        "vireo_cache_joins_total": "Requests that waited for another's computation, by whether they could take it.",
        "vireo_cache_foreign_waits_total": "Waits for a computation on another node.",
        "vireo_cache_leases_renewed_total": "Compute leases renewed for computations that take long.",
        "vireo_cache_writes_refused_total": "Writes that a tier did not take, by tier and reason.",
        "vireo_cache_undecodable_total":
            "Entries of L2 that were not what was asked for, by reason; echo: another key's.",
        "vireo_cache_evictions_total": "Entries evicted for want of room, by cache.",
        "vireo_cache_expirations_total": "Entries found past their hard expiry, by cache.",
        "vireo_cache_entries": "Values held, by cache.",
        "vireo_cache_keys": "Owners with values held, by cache.",
        "vireo_cache_fields":
            "Different kinds of values held (a surface by a model, a policy's pools and filters), by cache: what an owner may have one of each of.",
        "vireo_cache_bytes": "Bytes allocated for what is held, by cache.",
        "vireo_cache_hot_key_share": "Share of requests of the last seconds that went to the keys most asked for.",
        "vireo_cache_batch_size": "Reads that went out as one, by what was read.",
        "vireo_lease_age_seconds": "Time since the state of this node was proved fresh.",
        "vireo_relay_pass_age_seconds": "Time since the last pass of the relay over this node's Redis was seen.",
        "vireo_lease_live":
            "What proves at the moment that this node is fresh: the bus, the journal in PostgreSQL, or nothing.",
        "vireo_journal_polls_total":
            "Reads of the journal by this node itself, while the bus proves nothing, by result.",
        "vireo_journal_rows_total": "Rows of the journal that this node read itself.",
        "vireo_heartbeats_failed_total": "Heartbeats that Redis did not take.",
        "vireo_bus_messages_applied_total": "Messages of the bus applied.",
        "vireo_control_applied": "The last control log id applied.",
        "vireo_item_text_bytes": "Memory of ids and titles that are kept as answers hold them.",
        "vireo_control_reads_failed_total": "Reads of the control log that failed.",
        "vireo_relayed_rows_total": "Invalidations brought to Redis by the relay of this node.",
        "vireo_relay_passes_total": "Passes of the relay of this node that brought Redis up to date.",
        "vireo_relay_failures_total": "Passes of the relay that failed.",
        "vireo_invalidations_unpropagated_total": "Writes answered before their invalidation was out.",
        "vireo_self_check_writes_total":
            "Changes of which this node asked all nodes, by kind (write: of a user, by the node that took it; relay: by the relay; tombstone), by how long after and what they said.",
        "vireo_self_check_consistent_share":
            "Share of changes, of the last 600 of a kind that were answered, of which no node would have served what was before, that long after.",
        "vireo_self_check_suspects_total":
            "Times that a node would have served what a change had made void, past its lease, by kind.",
        "vireo_warm_up_places_total":
            "Entries that this node looked for in L2 before it was ready, by whether they were there.",
        "vireo_final_stage_rejections_total":
            "Candidates removed by the final stage, by reason and by where the pool was from.",
        "vireo_suppression_hits_total": "Suppressed items in a pool that only the final stage kept out, by its tier.",
        "vireo_session_events_total": "Events of feedback with a session, by whether Redis keeps them there.",
        "vireo_session_reads_total": "Sessions looked up in Redis, by what was found.",
        "vireo_warming_users_total": "Users whose lists were warmed, by whether they were computed or there already.",
        "vireo_precomputed_lists_stored_total": "Lists of active users that were stored for when none can be computed.",
        "vireo_precomputed_reads_total":
            "Looks for a stored list where none could be computed, by whether there was one that may be served.",
        "vireo_warming_seconds": "Time of one warming of active users, by how it ended.",
        "vireo_feedback_total": "Feedback events, by result.",
        "vireo_frequency_cap_items_total":
            "Items under frequency caps that lists wanted to show, by whether the counters reserved them; and showings, by whether they were counted.",
        "vireo_frequency_cap_failures_total":
            "Lists without what is under a frequency cap, because the counters could not be asked.",
        "vireo_frequency_cap_rebuilds_total": "Counters of a user that were made of stored impressions.",
        "vireo_decisions_total":
            "Records of recommendations: stored, refused (the user was erased or reset or does not allow personalisation), or dropped because too many waited.",
        "vireo_decision_mismatches_total":
            "Recommendations whose record does not give again what was served: a defect, which the log names.",
        "vireo_impressions_total": "Impressions told of, by result.",
        "vireo_erasures_total":
            "Erasures of users, by what this node did with them: accepted, done, or failed, which is tried again.",
        "vireo_erasures_open": "Erasures of users that are not finished.",
        "vireo_feedback_events_total": "Feedback events stored, by type.",
        "vireo_feedback_channel_total": "Feedback events heard over Redis, by result.",
        "vireo_feedback_stream_total":
            "Entries of feedback streams, by what became of them; failed: tries, not entries.",
        "vireo_feedback_stream_reclaimed_total": "Entries of feedback streams taken over after long being pending.",
        "vireo_feedback_stream_pending":
            "Entries of feedback streams that are delivered and not acknowledged, of all nodes.",
        "vireo_replica_reads_total": "Reads of users for which the replica was asked first, by what they came to.",
        "vireo_postgres_call_duration_seconds":
            "Time of a call on its connection, by pool; the wait for it is not counted.",
        "vireo_postgres_wait_duration_seconds": "Wait of a call for its connection, by pool.",
        "vireo_postgres_connections": "Places for connections, by pool and state.",
        "vireo_postgres_waiting": "Calls that wait for a connection, by pool.",
        "vireo_postgres_connections_opened_total": "Connections opened, by pool.",
        "vireo_postgres_connections_failed_total": "Connections that could not be opened, by pool.",
        "vireo_postgres_connections_closed_total": "Connections closed or found dead, by pool.",
        "vireo_postgres_cancel_requests_total": "Statements the server was asked to cancel, by pool.",
        "vireo_postgres_retries_total": "Calls tried once more, by pool.",
        "vireo_postgres_errors_total": "Calls that failed, by pool and kind.",
        "redis_commands_total": "Commands sent to Redis.",
        "redis_command_duration_seconds": "Time from sending a command to its reply.",
        "redis_queue_depth": "Commands without a reply when the last batch was sent.",
        "redis_errors_total": "Commands that failed, by kind.",
        "redis_breaker_open": "Whether calls are refused until a new connection has answered in time, 0 or 1.",
        "redis_probes_total": "Answers that a new connection owed after time-outs in a row, by result.",
        "redis_messages_total": "Messages heard over Redis.",
        "redis_reconnects_total": "Connections to Redis made after the first, by kind.",
        "redis_cluster_changes_total": "Sessions with every primary of the cluster, the first included.",
        "redis_cluster_redirections_total": "Commands that a node of the cluster sent elsewhere.",
        "vireo_snapshot_files_total": "Artifacts of models looked for in the host's folder, by what became of it.",
        "redis_primary_changes_total": "Times that the sentinels named another primary, the first included.",
        "redis_connections_lost_total": "Connections to Redis lost, by kind.",
        "vireo_ready": "Whether this node says that it is ready, 0 or 1.",
        "vireo_settings_age_seconds":
            "Time since policies, model routes, tombstones and keys were last known to be those in force; of a policy that cannot be read, since that was found.",
        "vireo_tenants_on_last_good_policy": "Tenants whose active policy this node cannot read.",
        "vireo_snapshot_age_seconds": "Time since the oldest active model of any tenant was built.",
        "vireo_snapshot_build_seconds": "Time to build and store a model.",
    ]
}
