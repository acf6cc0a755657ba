CREATE TABLE worker_heartbeats (
    client_id text        PRIMARY KEY,
    seen_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE worker_heartbeats IS 'owner: app. Which workers live; the jobs of a silent one are given to others.';
