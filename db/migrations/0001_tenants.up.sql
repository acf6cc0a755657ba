-- The directory holds ids only, so that an operator's command can walk all tenants while every row about a tenant stays
-- behind row-level security. It has no tenant_id column and no policy on purpose.
CREATE TABLE tenant_directory (
    id         text        PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    purged_at  timestamptz CHECK (purged_at IS NULL OR deleted_at IS NOT NULL)
);
COMMENT ON TABLE tenant_directory IS 'owner: modules/tenant. Ids of all tenants; nothing else about them.';
COMMENT ON COLUMN tenant_directory.deleted_at IS 'the tenant''s keys are destroyed; its rows are being removed';
COMMENT ON COLUMN tenant_directory.purged_at IS 'no row of the tenant is left but its audit log; the id may be used again';

CREATE TABLE tenant_configs (
    tenant_id                                  text        PRIMARY KEY REFERENCES tenant_directory (id),
    id                                         uuid        NOT NULL DEFAULT gen_random_uuid(),
    name                                       text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    edition                                    text        NOT NULL CHECK (edition IN ('onprem', 'cloud', 'msp_onprem', 'msp_cloud', 'generic')),
    servicedesk_url                            text        NOT NULL,
    connection_settings                        jsonb       NOT NULL DEFAULT '{}',
    data_key_encrypted                         bytea       NOT NULL,
    servicedesk_api_key_encrypted              bytea,
    webhook_signing_secret_encrypted           bytea       NOT NULL,
    webhook_signing_secret_previous_encrypted  bytea,
    webhook_signing_secret_previous_expires_at timestamptz,
    webhook_auth                               text[]      NOT NULL DEFAULT '{hmac,token,standard}',
    enhancement_preferences                    jsonb       NOT NULL DEFAULT '{}',
    disabled_at                                timestamptz,
    version                                    bigint      NOT NULL DEFAULT 1,
    created_at                                 timestamptz NOT NULL DEFAULT now(),
    updated_at                                 timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenant_configs IS 'owner: modules/tenant. Who may call, with which secrets, preferences and limits.';
ALTER TABLE tenant_configs ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_configs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON tenant_configs
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

-- Secrets of a tenant's other systems, such as monitoring, by the name under which preferences refer to them.
CREATE TABLE tenant_secrets (
    tenant_id  text        NOT NULL CHECK (tenant_id <> ''),
    name       text        NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,99}$'),
    sealed     bytea       NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name)
);
COMMENT ON TABLE tenant_secrets IS 'owner: modules/tenant. Sealed secrets of monitoring and documentation systems.';
ALTER TABLE tenant_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON tenant_secrets
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

CREATE TABLE audit_log (
    tenant_id  text        NOT NULL CHECK (tenant_id <> ''),
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text        NOT NULL,
    action     text        NOT NULL,
    detail     jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, at, id)
);
COMMENT ON TABLE audit_log IS 'owner: modules/tenant. Who did what to which tenant; the app role may add rows and read them.';
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON audit_log
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));
-- Append-only for the app role, by these policies and by its grants: no row is ever changed, and one can be deleted only
-- once it is older than the shortest retention there is.
CREATE POLICY audit_append_only ON audit_log AS RESTRICTIVE FOR UPDATE
    USING (false);
CREATE POLICY audit_retention ON audit_log AS RESTRICTIVE FOR DELETE
    USING (at < now() - interval '90 days');
