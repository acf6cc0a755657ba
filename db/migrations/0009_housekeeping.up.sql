-- One row a run of a periodic task, so that an operator sees when each ran last and what came of it. Tasks serve all tenants,
-- and a row says nothing about one but its id in an error.
CREATE TABLE housekeeping_runs (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task        text        NOT NULL CHECK (task <> ''),
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    result      text        NOT NULL DEFAULT 'running' CHECK (result IN ('running', 'ok', 'failed', 'stopped')),
    rows        bigint      NOT NULL DEFAULT 0,
    error       text        NOT NULL DEFAULT '',
    dry_run     boolean     NOT NULL DEFAULT false,
    CHECK ((result = 'running') = (finished_at IS NULL))
);
COMMENT ON TABLE housekeeping_runs IS 'owner: app/housekeeping. Runs of periodic tasks with their results, of the last two weeks.';
CREATE INDEX housekeeping_runs_by_task ON housekeeping_runs (task, started_at DESC);

-- Removing what was retired long ago must not read a whole inventory.
-- reviewed: index system_inventory.system_inventory_retired: an inventory has thousands of rows, and only imports write to it
CREATE INDEX system_inventory_retired ON system_inventory (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;
