namespace Routing.Agent.Tests.Rest;

/// <summary>Every request of the interface, and its code on a member in every state.</summary>
/// <remarks>
/// One line per kind of request: a code for each column, or one for <c>every</c> column; behind the bar the method,
/// the paths, and a body. <c>?</c> stands for GET, HEAD and OPTIONS; <c>___</c>: not asked, as the loop answers later
/// (it stops the primary first), or as that kind of cluster is not supported. The lines are a script: they are sent in
/// this order, and what one of them plans the next ones find.
/// </remarks>
internal static class EndpointTable
{
    /// <summary>What the columns mean.</summary>
    public const string Columns = """
        P  primary
        Z  primary, the cluster is paused
        R  standby that streams
        G  standby that lags by 32 MiB
        A  standby in archive recovery
        S  synchronous standby
        Q  voter of the quorum
        N  standby tagged noloadbalance
        F  standby tagged nofailover, and dc: west
        L  standby leader
        X  primary whose lease ran out
        D  leader whose server is down
        H  primary whose agent's loop hangs
        U  primary whose disk is full
        B  standby that starts
        O  standby that is stopped
        T  primary by failsafe mode, while etcd is silent
        V  standby that consented to it
        K  standby that knows no end of the WAL, while etcd is silent
        E  standby whose agent has not heard from etcd yet
        """;

    /// <summary>The table.</summary>
    public const string Lines = """
        P   Z   R   G   A   S   Q   N   F   L   X   D   H   U   B   O   T   V   K   E
        # Questions of load balancers, by GET, HEAD and OPTIONS alike.
        200 200 503 503 503 503 503 503 503 503 503 200 200 200 503 503 200 503 503 503 | ? / /primary /master /read-write
        200 200 503 503 503 503 503 503 503 503 503 200 200 200 503 503 200 503 503 503 | ? /primary?tag_dc=east
        200 200 503 503 503 503 503 503 503 200 503 200 200 200 503 503 200 503 503 503 | ? /leader
        503 503 503 503 503 503 503 503 503 200 503 503 503 503 503 503 503 503 503 503 | ? /standby-leader /standby_leader
        503 503 200 200 200 200 200 503 200 503 503 503 503 503 503 503 503 200 200 200 | ? /replica /my-replica
        503 503 200 503 200 200 200 503 200 503 503 503 503 503 503 503 503 200 200 200 | ? /replica?lag=16MB
        503 503 503 503 503 503 503 503 503 503 503 503 503 503 503 503 503 200 200 503 | ? /replica?lag=1
        503 503 200 200 503 200 200 503 200 503 503 503 503 503 503 503 503 200 200 200 | ? /replica?replication_state=streaming
        503 503 503 503 503 503 503 503 200 503 503 503 503 503 503 503 503 503 503 503 | ? /replica?tag_dc=west
        200 200 200 200 200 200 200 503 200 200 503 200 200 200 503 503 200 200 200 200 | ? /read-only
        503 503 503 503 503 503 503 503 200 503 503 503 503 503 503 503 503 503 503 503 | ? /read-only?lag=16MB&tag_dc=west
        200 200 200 200 200 200 200 200 200 200 200 503 200 200 503 503 200 200 200 200 | ? /health
        503 503 503 503 503 200 503 503 503 503 503 503 503 503 503 503 503 503 503 503 | ? /sync /synchronous
        503 503 503 503 503 503 200 503 503 503 503 503 503 503 503 503 503 503 503 503 | ? /quorum
        503 503 200 200 200 503 503 503 200 503 503 503 503 503 503 503 503 503 503 503 | ? /async /asynchronous
        503 503 200 503 200 503 503 503 200 503 503 503 503 503 503 503 503 503 503 503 | ? /async?lag=16MB
        200 200 503 503 503 200 503 503 503 200 503 200 200 200 503 503 503 503 503 503 | ? /read-only-sync
        200 200 503 503 503 200 503 503 503 200 503 200 200 200 503 503 503 503 503 503 | ? /read-only-synchronous
        200 200 503 503 503 503 200 503 503 200 503 200 200 200 503 503 503 503 503 503 | ? /read-only-quorum
        every 503                                                                       | ? /nothing
        # Questions of orchestrators, by GET alone.
        200 200 200 200 200 200 200 200 200 200 200 200 503 200 200 200 200 200 200 200 | GET /liveness
        200 200 200 503 503 200 200 200 200 200 503 200 200 200 503 503 200 200 503 200 | GET /readiness
        200 200 200 200 503 200 200 200 200 200 503 200 200 200 503 503 200 200 503 200 | GET /readiness?lag=64MB
        200 200 200 200 503 200 200 200 200 200 503 200 200 200 503 503 200 200 503 200 | GET /readiness?mode=write
        # Documents, by GET alone; with another method the path asks a health check, or for nothing.
        every 200                                                                       | GET /patroni /patroni/x /metrics
        every 200                                                                       | GET /events /why /ui /openapi.json /backup
        200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 503 503 503 503 | GET /cluster
        200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 503 503 503 503 | GET /history
        200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 503 503 503 503 | GET /config /members
        502 502 502 502 502 502 502 502 502 502 502 502 502 502 502 502 200 200 502 502 | GET /failsafe
        every 503                                                                       | HEAD /patroni /liveness /readiness
        every 503                                                                       | HEAD /metrics /config /cluster /nothing
        every 503                                                                       | OPTIONS /patroni /liveness /readiness
        every 503                                                                       | OPTIONS /config /switchover /nothing
        every 501                                                                       | POST /patroni /cluster /history /nothing
        every 501                                                                       | PUT /patroni /restart /failsafe /nothing
        every 501                                                                       | PATCH / /switchover /reload /nothing
        every 501                                                                       | DELETE /failover /config /nothing
        every 501                                                                       | PROPFIND /config /nothing
        # The configuration.
        200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 503 503 503 503 | PATCH /config {"loop_wait":9}
        400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 503 503 503 503 | PATCH /config {"loop_wait":"soon"}
        200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 503 503 503 503 | PUT /config {"ttl":40}
        every 411                                                                       | PATCH /config
        every 400                                                                       | PATCH /config nothing
        every 400                                                                       | PATCH /config {}
        every 400                                                                       | PATCH /config [1]
        every 400                                                                       | PATCH /config {broken
        every 411                                                                       | PUT /config
        every 400                                                                       | PUT /config nothing
        every 400                                                                       | PUT /config {}
        every 400                                                                       | PUT /config [1]
        every 400                                                                       | PUT /config {broken
        # A restart. A leader that is down is started by its agent, not by a request.
        200 200 200 200 200 200 200 200 200 200 ___ 503 200 200 503 503 503 200 200 503 | POST /restart
        503 503 200 200 200 200 200 200 200 ___ ___ 503 503 503 503 503 503 200 200 503 | POST /restart {"role":"replica"}
        every 400                                                                       | POST /restart {"role":"captain"}
        every 400                                                                       | POST /restart {"postgres_version":"15"}
        every 400                                                                       | POST /restart {"timeout":"0"}
        every 400                                                                       | POST /restart {"when":"now"}
        every 400                                                                       | POST /restart {broken
        422 500 422 422 422 422 422 422 422 422 422 422 422 422 422 422 503 503 503 503 | POST /restart {"schedule":"2009-01-01T00:00Z"}
        400 500 400 400 400 400 400 400 400 400 400 400 400 400 400 400 503 503 503 503 | POST /restart {"schedule":"2099-01-01T00:00"}
        every 404                                                                       | DELETE /restart
        202 500 202 202 202 202 202 202 202 202 202 202 202 202 202 202 503 503 503 503 | POST /restart {"schedule":"2099-01-01T00:00Z"}
        409 500 409 409 409 409 409 409 409 409 409 409 409 409 409 409 503 503 503 503 | POST /restart {"schedule":"2099-01-01T00:01Z"}
        200 404 200 200 200 200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 | DELETE /restart
        # A new copy in place of the data.
        503 503 200 200 200 200 200 200 200 503 ___ 503 503 503 200 200 503 200 200 503 | POST /reinitialize
        503 503 200 200 200 200 200 200 200 503 ___ 503 503 503 200 200 503 200 200 503 | POST /reinitialize {"force":true}
        every 400                                                                       | POST /reinitialize {"force":"perhaps"}
        every 400                                                                       | POST /reinitialize {broken
        # Another leader.
        200 200 200 200 200 200 200 200 412 200 200 200 200 200 200 200 503 503 503 503 | POST /switchover {"leader":"pg-a","candidate":"pg-b"}
        200 400 200 200 200 200 200 200 412 200 200 200 200 200 200 200 503 503 503 503 | POST /switchover {"leader":"pg-a"}
        200 200 200 200 200 200 200 200 412 200 200 200 200 200 200 200 503 503 503 503 | POST /failover {"candidate":"pg-b"}
        412 400 412 412 412 412 412 412 412 412 412 412 412 412 412 412 503 503 503 503 | POST /switchover {"leader":"pg-b"}
        400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 503 503 503 503 | POST /switchover {"candidate":"pg-b"}
        400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 503 503 503 503 | POST /switchover {"leader":"pg-a","candidate":"pg-a"}
        400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 503 503 503 503 | POST /failover {"leader":"pg-a"}
        412 412 412 412 412 412 412 412 412 412 412 412 412 412 412 412 503 503 503 503 | POST /failover {"candidate":"pg-x"}
        every 411                                                                       | POST /switchover
        every 400                                                                       | POST /switchover nothing
        every 400                                                                       | POST /switchover {}
        every 400                                                                       | POST /switchover {broken
        every 411                                                                       | POST /failover
        every 400                                                                       | POST /failover nothing
        every 400                                                                       | POST /failover {}
        every 400                                                                       | POST /failover {broken
        422 400 422 422 422 422 422 422 422 422 422 422 422 422 422 422 503 503 503 503 | POST /switchover {"leader":"pg-a","scheduled_at":"2009-01-01T00:00Z"}
        400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 503 503 503 503 | POST /switchover {"leader":"pg-a","scheduled_at":"2099-01-01T00:00"}
        400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 400 503 503 503 503 | POST /failover {"candidate":"pg-b","scheduled_at":"2099-01-01T00:00Z"}
        404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 503 503 503 503 | DELETE /switchover
        202 400 202 202 202 202 202 202 202 202 202 202 202 202 202 202 503 503 503 503 | POST /switchover {"leader":"pg-a","scheduled_at":"2099-01-01T00:00Z"}
        200 404 200 200 200 200 200 200 200 200 200 200 200 200 200 200 503 503 503 503 | DELETE /switchover
        # What members say to each other, and the rest.
        502 502 502 502 502 502 502 502 502 502 502 502 502 502 502 502 500 200 502 502 | POST /failsafe {"name":"pg-a","conn_url":"c","api_url":"a"}
        every 400                                                                       | POST /failsafe {"name":"pg-a"}
        every 411                                                                       | POST /failsafe
        every 400                                                                       | POST /failsafe nothing
        every 400                                                                       | POST /failsafe {broken
        # A remote cluster. Without a body the one that is configured.
        400 400 400 400 400 400 400 400 400 200 400 400 400 400 400 400 400 400 400 400 | POST /remote
        every 200                                                                       | POST /remote {"host":"far,farther","port":"5433,5434"}
        every 400                                                                       | POST /remote {"host":"far","port":"x"}
        every 400                                                                       | POST /remote {"primary_slot_name":"s"}
        every 400                                                                       | POST /remote {broken
        every 202                                                                       | POST /reload
        every 202                                                                       | POST /sigterm
        every 200                                                                       | POST /citus {}
        every 200                                                                       | POST /mpp {}
        """;
}
