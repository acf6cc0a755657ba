CREATE TABLE system_inventory (
    tenant_id      text        NOT NULL CHECK (tenant_id <> ''),
    id             uuid        NOT NULL DEFAULT gen_random_uuid(),
    -- One address, or a whole network with its host bits zero. NULL for a host that is known by name only.
    ip_address     inet        CHECK (ip_address = network(ip_address)),
    hostname       text        NOT NULL DEFAULT '' CHECK (length(hostname) <= 253),
    -- The forms in which the look-up asks, stored because lower() is not leakproof and would lose its index under
    -- row-level security. Collation C makes them comparable by range as well.
    hostname_key   text        COLLATE "C" NOT NULL DEFAULT '',
    short_name_key text        COLLATE "C" NOT NULL DEFAULT '',
    -- NULL where there is none: thousands of equal keys would mislead the planner.
    mac_key        text        COLLATE "C",
    role           text        NOT NULL DEFAULT '',
    location       text        NOT NULL DEFAULT '',
    metadata       jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    deleted_at     timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK (ip_address IS NOT NULL OR hostname <> ''),
    -- A host may have several addresses and an address several hosts (a cluster's, or one before and one after a move).
    CONSTRAINT system_inventory_host_address UNIQUE NULLS NOT DISTINCT (tenant_id, hostname_key, ip_address)
);
COMMENT ON TABLE system_inventory IS 'owner: modules/enhancement/systems. Hosts and networks by address and name; soft deletes.';
CREATE INDEX system_inventory_address ON system_inventory (tenant_id, ip_address);
CREATE INDEX system_inventory_short_name ON system_inventory (tenant_id, short_name_key);
CREATE INDEX system_inventory_mac ON system_inventory (tenant_id, mac_key);
ALTER TABLE system_inventory ENABLE ROW LEVEL SECURITY;
ALTER TABLE system_inventory FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON system_inventory
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));
