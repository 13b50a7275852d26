using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>Users who log in with SCRAM through a proxy that can log their sessions in again.</summary>
internal static class ScramLogin
{
    /// <summary>What the proxy's file says for that.</summary>
    public const string AuthQuery = "auth_query: {user: routing_proxy, password: knows-verifiers}";

    /// <summary>Makes a user, a role that the user may take, and what the proxy asks for verifiers.</summary>
    public static async Task PrepareAsync(TestNode leader, string user, string password, string role)
    {
        await leader.SqlAsync(Repository.Document("../deploy/sql/routing-verifiers.sql"));
        await leader.SqlAsync($"""
            ALTER ROLE routing_proxy PASSWORD 'knows-verifiers';
            DO $$
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') THEN
                    CREATE ROLE {user} LOGIN PASSWORD '{password}';
                    CREATE ROLE {role} ROLE {user};
                END IF;
            END
            $$;
            """);
    }
}
