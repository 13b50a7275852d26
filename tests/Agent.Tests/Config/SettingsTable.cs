namespace Routing.Agent.Tests.Config;

/// <summary>Every setting that Patroni's configuration has, and what becomes of it.</summary>
/// <remarks>
/// A line: the setting (braces stand for several), a value other than its default, <c>without</c> what would hide it;
/// then <c>honoured</c>: it changes what the agent works with, and the tests that are named show how; or
/// <c>named</c>: a warning says these words, and nothing changes; or <c>refused</c>: an error says these words.
/// </remarks>
internal static class SettingsTable
{
    /// <summary>The local file.</summary>
    public const string Local = """
        # global
        name = other | honoured | BootstrapTests
        scope = other | honoured | BootstrapTests
        namespace = /db/ | honoured | DebianConfigurationTests
        site = dc1 | honoured | SiteTests MembershipTests
        thread_pool_size = 9 | named | there is no pool to size
        thread_stack_size = 99999 | named | there is no pool whose threads it could size
        {ttl,loop_wait,retry_timeout} = 40 | named | it belongs into the dynamic configuration
        standby_cluster = {host: far} | named | it belongs into the dynamic configuration
        citus = {group: 0, database: db} | named | is not supported and has no effect

        # log
        log.type = json | honoured | ProgramLogTests
        log.level = DEBUG | honoured | ProgramLogTests
        log.traceback_level = DEBUG | honoured | ProgramLogTests
        log.format = '%(message)s' | honoured | ProgramLogTests
        log.dateformat = '%H' | honoured | ProgramLogTests
        log.static_fields = {app: pg} | honoured | ProgramLogTests
        log.max_queue_size = 7 | honoured | ProgramLogTests
        log.dir = /tmp/routing-nowhere | honoured | ProgramLogTests UserConfigurationTests
        log.mode = 0640 | honoured | ProgramLogTests
        log.file_num = 7 | honoured | ProgramLogTests
        log.file_size = 7000 | honoured | ProgramLogTests
        log.loggers = {rest: DEBUG} | honoured | ProgramLogTests
        log.deduplicate_heartbeat_logs = on | honoured | ProgramLogTests

        # restapi
        restapi.listen = 127.0.0.3:9 | honoured | AccessTests ProcessStartTests
        restapi.connect_address = 127.0.0.3:9 | honoured | BootstrapTests
        restapi.authentication = {username: u, password: p} | honoured | AccessTests EndpointTableTests
        restapi.certfile = /x | honoured | TlsTests
        restapi.{keyfile,keyfile_password,cafile} = /x | honoured | TlsTests
        restapi.verify_client = required | honoured | TlsTests
        restapi.ciphers = HIGH | named | the system's OpenSSL policy decides
        restapi.allowlist = [10.0.0.0/8] | honoured | AccessTests EndpointTableTests
        restapi.allowlist_include_members = on | honoured | AccessTests
        restapi.http_extra_headers = {X-A: b} | honoured | AccessTests
        restapi.https_extra_headers = {X-A: b} with restapi.certfile | honoured | AccessTests
        restapi.request_queue_size = 9 | honoured | RequestQueueTests
        restapi.server_tokens = minimal | honoured | AccessTests
        restapi.thread_pool_size = 9 | named | there is no pool to size

        # ctl
        ctl.authentication = {username: u, password: p} | honoured | PeerClientTests
        ctl.insecure = on | honoured | TlsTests MemberApiTlsTests
        ctl.{cacert,certfile,keyfile,keyfile_password} = /x | honoured | TlsTests MemberApiTlsTests

        # the store
        etcd3.host = 127.0.0.9:2379 without etcd3.hosts | honoured | EtcdSection_says_how_to_reach_etcd
        etcd3.hosts = 127.0.0.9:2379 | honoured | EtcdSection_says_how_to_reach_etcd
        etcd3.{url,proxy} = 'http://127.0.0.9:2379' | honoured | EtcdSection_says_how_to_reach_etcd
        etcd3.srv = example.org without etcd3.hosts | honoured | SrvEndpoints_ask_name_servers
        etcd3.srv_suffix = x with etcd3.srv | honoured | SrvEndpoints_ask_name_servers
        etcd3.use_proxies = on | honoured | EndpointSourceTests
        etcd3.protocol = https | honoured | EtcdSection_says_how_to_reach_etcd
        etcd3.port = 2380 with etcd3.portless | honoured | EtcdSection_says_how_to_reach_etcd
        etcd3.{username,password} = x | honoured | EtcdSecurityTests
        etcd3.{cacert,cert} = /x | honoured | EtcdSecurityTests
        etcd3.key = /x with etcd3.cert | honoured | EtcdSecurityTests
        etcd = {hosts: '127.0.0.9:2379'} without etcd3 | honoured | EtcdSection_says_how_to_reach_etcd
        consul.{host,url,port,scheme,token,verify,cacert,cert,key,dc,consistency,checks} = x | named | etcd is the DCS
        consul.{register_service,service_tags,service_check_interval} = x | named | etcd is the DCS
        consul.service_check_tls_server_name = x | named | etcd is the DCS
        zookeeper.{hosts,use_ssl,cacert,cert,key,key_password,verify} = x | named | etcd is the DCS
        zookeeper.{set_acls,auth_data} = x | named | etcd is the DCS
        exhibitor.{hosts,port,poll_interval} = x | named | etcd is the DCS
        kubernetes.{labels,namespace,scope_label,role_label,leader_label_value} = x | named | etcd is the DCS
        kubernetes.{follower_label_value,standby_leader_label_value,tmp_role_label} = x | named | etcd is the DCS
        kubernetes.{use_endpoints,pod_ip,ports,cacert,bypass_api_service,context} = x | named | etcd is the DCS
        kubernetes.{retriable_http_codes,bootstrap_labels} = x | named | etcd is the DCS
        raft.{self_addr,bind_addr,partner_addrs,data_dir,password,min_timeout,max_timeout} = x | named | etcd is the DCS
        raft.{connection_timeout,append_entries_period,connection_retry_time} = x | named | etcd is the DCS
        raft.leader_fallback_timeout = x | named | etcd is the DCS
        {consul,zookeeper,exhibitor,kubernetes,raft}.x = y without etcd3 | refused | only etcd (section etcd3) is supported

        # bootstrap
        bootstrap.dcs = {ttl: 40} | honoured | BootstrapTests
        bootstrap.postgresql = {use_pg_rewind: on} | honoured | UserConfigurationTests
        bootstrap.initdb = [data-checksums] | honoured | ClusterBootstrapTests
        bootstrap.pg_hba = [local all all trust] | honoured | UserConfigurationTests
        bootstrap.{post_bootstrap,post_init} = /bin/true | honoured | HookTests
        bootstrap.method = mine with bootstrap.mine | honoured | ClusterBootstrapTests
        bootstrap.mine.{no_params,keep_existing_recovery_conf} = on with bootstrap.method | honoured | ClusterBootstrapTests
        bootstrap.mine.recovery_conf = {restore_command: x} with bootstrap.method | honoured | ClusterBootstrapTests
        bootstrap.mine.other = x with bootstrap.method | honoured | ClusterBootstrapTests
        bootstrap.users = {x: y} with bootstrap.dcs | named | create roles by post_bootstrap
        bootstrap.dcs.standby_cluster = {host: far} | honoured | StandbyClusterTests
        post_bootstrap = [{type: sql, command: SELECT 1}] with bootstrap.dcs | honoured | UserConfigurationTests

        # postgresql
        postgresql.listen = '127.0.0.3:9' | honoured | BootstrapTests
        postgresql.{connect_address,proxy_address} = 127.0.0.3:9 | honoured | BootstrapTests
        postgresql.{data_dir,config_dir} = /tmp/routing-nowhere/x | honoured | DebianConfigurationTests
        postgresql.config_base_name = pg | honoured | ConfigurationReloadTests
        postgresql.bin_dir = /x | honoured | BootstrapTests
        postgresql.bin_name.{initdb,pg_controldata,pg_basebackup,postgres,pg_rewind} = x | honoured | PostgresProgramsTests
        postgresql.bin_name.{pg_ctl,pg_isready} = x | honoured | ConfigCheck_finds_what_reading_can_not_know
        postgresql.pgpass = /tmp/routing-nowhere/pass | honoured | TextTests
        postgresql.database = other | honoured | ClusterBootstrapTests
        postgresql.authentication.{superuser,replication}.username = x | honoured | BootstrapTests TextTests
        postgresql.authentication.{superuser,replication}.password = x | honoured | BootstrapTests TextTests
        postgresql.authentication.rewind = {username: x, password: y} | honoured | DataRewindTests
        postgresql.authentication.{superuser,replication}.sslmode = require | honoured | TextTests
        postgresql.authentication.{superuser,replication}.{sslcert,sslkey,sslrootcert,sslpassword} = x | honoured | TextTests
        postgresql.authentication.{superuser,replication}.{sslcrl,sslcrldir} = x | honoured | TextTests
        postgresql.authentication.{superuser,replication}.{gssencmode,channel_binding} = disable | honoured | TextTests
        postgresql.authentication.{superuser,replication}.sslnegotiation = direct | honoured | TextTests
        postgresql.authentication.superuser.other = x | named | is not known
        postgresql.callbacks.{on_start,on_stop,on_restart,on_reload,on_role_change} = /x | honoured | HookTests
        postgresql.{create_replica_methods,create_replica_method} = [mine] | honoured | DebianConfigurationTests
        postgresql.mine = {command: /x, keep_data: on, no_params: on, no_leader: on, other: y} | honoured | FillingTests
        postgresql.basebackup = {checkpoint: fast} | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.rewind = [debug] | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.use_pg_rewind = on | honoured | RejoinTests
        postgresql.remove_data_directory_on_rewind_failure = on | honoured | DamageTests
        postgresql.remove_data_directory_on_diverged_timelines = on | honoured | StoppedTests
        postgresql.parameters = {work_mem: 5MB} | honoured | ConfigurationTests
        postgresql.{parameters_primary,parameters_replica,parameters_standby_leader} = {work_mem: 5MB} | honoured | ConfigurationTests
        postgresql.{pg_hba,pg_hba_primary,pg_hba_replica,pg_hba_standby_leader} = [a] | honoured | ConfigurationTests
        postgresql.{pg_ident,pg_ident_primary,pg_ident_replica,pg_ident_standby_leader} = [a] | honoured | ConfigurationTests
        postgresql.recovery_conf = {restore_command: x} | honoured | PromoteAndFollowTests
        postgresql.custom_conf = /x | honoured | ConfigurationAcceptanceTests
        postgresql.use_unix_socket = on | honoured | UserConfigurationTests
        postgresql.use_unix_socket_repl = on | named | makes no replication connection to its own server
        postgresql.pg_ctl_timeout = 9 | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.krbsrvname = x | honoured | TextTests
        postgresql.{pre_promote,before_stop} = /x | honoured | HookTests
        postgresql.use_slots = off | named | it belongs into the dynamic configuration
        postgresql.parameters.{max_connections,max_wal_senders,max_worker_processes} = 99 | named | dynamic configuration
        postgresql.parameters.{max_prepared_transactions,max_locks_per_transaction} = 99 | named | dynamic configuration
        postgresql.parameters.{max_replication_slots,wal_keep_segments,wal_keep_size} = 99 | named | dynamic configuration
        postgresql.parameters.{track_commit_timestamp,wal_log_hints,hot_standby} = on | named | dynamic configuration
        postgresql.parameters.wal_level = logical | named | dynamic configuration
        postgresql.parameters.{listen_addresses,cluster_name} = x | named | set by the agent
        postgresql.parameters.port = 9 | named | set by the agent

        # watchdog
        watchdog.mode = required | honoured | WatchdogTests UserConfigurationTests
        watchdog.device = /x | honoured | WatchdogTests UserConfigurationTests
        watchdog.safety_margin = 9 | honoured | DeviceWatchdogTests
        watchdog.driver = testing | honoured | UserConfigurationTests
        watchdog.driver = iTCO_wdt | named | whatever its driver

        # pgbackrest
        pgbackrest = {stanza: x, command: /x, config: /x, maximum_age: 99} | honoured | RestoreTests

        # tags
        tags.nofailover = on | honoured | EffectiveTagsTests RaceTests
        tags.failover_priority = 2 | honoured | EffectiveTagsTests RaceTests
        tags.{nosync,sync_priority} = 1 | honoured | EffectiveTagsTests
        tags.noloadbalance = on | honoured | EndpointTableTests
        tags.clonefrom = on | honoured | ReinitializeTests
        tags.replicatefrom = n2 | honoured | ConfigurationTests
        tags.nostream = on | honoured | EffectivePostgresConfig_takes_everything_together
        tags.dc = west | honoured | EndpointTableTests
        """;

    /// <summary>The key <c>config</c>.</summary>
    public const string Dynamic = """
        {ttl,loop_wait,retry_timeout} = 12 | honoured | NounTests ConfigurationTests
        {maximum_lag_on_failover,maximum_lag_on_syncnode} = 9 | honoured | LagTests RaceTests
        max_timelines_history = 9 | honoured | HistoryUpdateTests
        {primary_start_timeout,master_start_timeout} = 9 | honoured | StoppedTests
        {primary_stop_timeout,master_stop_timeout} = 9 | honoured | DemotionJobTests
        primary_race_backoff = 9 | honoured | RaceTests
        switchover_grace = 9 | honoured | SwitchoverTests
        switchover_strict = on | honoured | SwitchoverTests
        synchronous_mode = quorum | honoured | SynchronousTests
        synchronous_mode_strict = on | honoured | SynchronousTests
        synchronous_node_count = 2 | honoured | SynchronousTests
        failsafe_mode = on | honoured | DcsFaultTests
        check_timeline = on | honoured | RaceTests
        pause = on | honoured | PauseTests
        member_slots_ttl = 9 | honoured | SlotPlannerTests
        {slots,permanent_slots,permanent_replication_slots} = {a: {type: physical}} | honoured | SlotPlannerTests
        ignore_slots = [{name: a}] | honoured | SlotPlannerTests
        standby_cluster = {host: far} | honoured | StandbyClusterTests
        standby_cluster = {port: 5} | honoured | StandbyClusterTests
        standby_cluster = {restore_command: x, primary_slot_name: y} | honoured | StandbyClusterTests
        standby_cluster = {host: a, create_replica_methods: [x]} | honoured | StandbyClusterTests
        standby_cluster = {host: a, archive_cleanup_command: x, recovery_min_apply_delay: 5} | honoured | StandbyClusterTests
        routing_promote_beside_remote = on | honoured | StandbyClusterTests
        my_tool = 5 | named | nothing reads it
        postgresql.use_slots = off | honoured | SlotPlannerTests
        postgresql.callbacks = {on_start: /x} | honoured | HookTests
        postgresql.{create_replica_methods,create_replica_method} = [mine] | honoured | ClusterBootstrapTests
        postgresql.mine = {command: /x} with postgresql.create_replica_methods | honoured | ClusterBootstrapTests
        postgresql.basebackup = {checkpoint: fast} | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.rewind = [debug] | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.use_pg_rewind = on | honoured | RejoinTests
        postgresql.{remove_data_directory_on_rewind_failure,remove_data_directory_on_diverged_timelines} = on | honoured | StoppedTests
        postgresql.parameters = {work_mem: 5MB} | honoured | ConfigurationTests
        postgresql.{parameters_primary,parameters_replica,parameters_standby_leader} = {work_mem: 5MB} | honoured | ConfigurationTests
        postgresql.{pg_hba,pg_hba_primary,pg_hba_replica,pg_hba_standby_leader} = [a] | honoured | ConfigurationTests
        postgresql.{pg_ident,pg_ident_primary,pg_ident_replica,pg_ident_standby_leader} = [a] | honoured | ConfigurationTests
        postgresql.recovery_conf = {restore_command: x} | honoured | PromoteAndFollowTests
        postgresql.custom_conf = /x | honoured | ConfigurationAcceptanceTests
        postgresql.use_unix_socket = on | honoured | UserConfigurationTests
        postgresql.use_unix_socket_repl = on | named | has no effect
        postgresql.pg_ctl_timeout = 9 | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.krbsrvname = x | honoured | TextTests
        postgresql.{pre_promote,before_stop} = /x | honoured | HookTests
        postgresql.{connect_address,proxy_address,listen,config_dir,data_dir,pgpass} = x | named | member's own file
        postgresql.authentication = {superuser: {username: x}} | named | member's own file
        postgresql.{bin_dir,database,config_base_name} = x | named | member's own file
        postgresql.bin_name = {postgres: x} | named | member's own file
        postgresql.parameters.{max_connections,max_wal_senders,max_worker_processes} = 99 | honoured | ConfigurationTests
        postgresql.parameters.{max_prepared_transactions,max_locks_per_transaction} = 99 | honoured | ConfigurationTests
        postgresql.parameters.max_replication_slots = 99 | honoured | ConfigurationTests
        postgresql.parameters.wal_keep_segments = 99 | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.parameters.wal_keep_size = 99MB | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.parameters.track_commit_timestamp = on | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.parameters.wal_log_hints = off | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.parameters.wal_level = logical | honoured | EffectivePostgresConfig_takes_everything_together
        postgresql.parameters.hot_standby = off | refused | hot_standby
        postgresql.parameters.{listen_addresses,port,cluster_name} = 9 | named | is set by the agent
        """;
}
