-- What routing-proxy needs to log sessions in again that have logged in with SCRAM (auth_query in docs/proxy.md).
-- Run it as a superuser in the database that auth_query names (postgres, unless it says otherwise), then give the role
-- a password: \password routing_proxy
--
-- The function tells the proxy's role the verifier of one user, and nobody else anything. Verifiers of superusers, of
-- roles for replication, of roles that may not log in and of passwords that have expired it keeps to itself.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'routing_proxy') THEN
        CREATE ROLE routing_proxy LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT CONNECTION LIMIT 20;
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS routing;
REVOKE ALL ON SCHEMA routing FROM PUBLIC;
GRANT USAGE ON SCHEMA routing TO routing_proxy;

CREATE OR REPLACE FUNCTION routing.verifier_of(name pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT role.rolpassword FROM pg_catalog.pg_authid AS role
        WHERE role.rolname = $1 AND role.rolcanlogin AND NOT role.rolsuper AND NOT role.rolreplication
            AND (role.rolvaliduntil IS NULL OR role.rolvaliduntil > pg_catalog.now())
    $$;
REVOKE ALL ON FUNCTION routing.verifier_of(pg_catalog.text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION routing.verifier_of(pg_catalog.text) TO routing_proxy;
