ALTER TABLE feed_state NO FORCE ROW LEVEL SECURITY;
DELETE FROM feed_state WHERE kind = 'assets';
ALTER TABLE feed_state FORCE ROW LEVEL SECURITY;
ALTER TABLE feed_state DROP CONSTRAINT feed_state_kind_check;
ALTER TABLE feed_state ADD CONSTRAINT feed_state_kind_check CHECK (kind IN ('tickets', 'solutions', 'reconcile'));
ALTER TABLE system_inventory DROP COLUMN source;
DROP TABLE database_lineage;
