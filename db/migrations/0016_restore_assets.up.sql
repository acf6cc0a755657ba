-- Which database this is: the server's identity, this database's, and the timeline of its log. A restore or a failover changes
-- it, and what was committed last may be forgotten then, so that for a while a ticket is looked at before its note is written.
CREATE TABLE database_lineage (
    single     boolean     PRIMARY KEY DEFAULT true CHECK (single),
    lineage    text        NOT NULL,
    -- NULL until it changed for the first time.
    changed_at timestamptz
);
COMMENT ON TABLE database_lineage IS 'owner: modules/notifier. By which a restored database knows itself.';

-- Where a host of the inventory comes from. The desk's assets fill what an import leaves open and never overwrite it.
-- reviewed: constraint system_inventory.system_inventory_source_check: older programs do not name the column and get its default
ALTER TABLE system_inventory ADD COLUMN source text NOT NULL DEFAULT 'import' CHECK (source IN ('import', 'servicedesk'));
-- reviewed: constraint feed_state.feed_state_kind_check: it allows one kind more, which older programs neither write nor ask for
ALTER TABLE feed_state DROP CONSTRAINT feed_state_kind_check;
ALTER TABLE feed_state ADD CONSTRAINT feed_state_kind_check CHECK (kind IN ('tickets', 'solutions', 'reconcile', 'assets'));
