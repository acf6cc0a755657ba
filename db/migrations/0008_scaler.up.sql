-- What an autoscaler may know about the queue. It logs in as a role of its own that holds nothing but EXECUTE on these
-- functions, so they run as their owner; see docs/operations.md for the grant. River's tables are made after ours by the same
-- `migrate up`: plpgsql looks them up when a function is called, not when it is made.
CREATE FUNCTION scaler_queue_depth() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN (SELECT count(*) FROM river_job j
            WHERE j.state = 'available' AND j.queue = 'default' AND j.scheduled_at <= now()
              AND NOT EXISTS (SELECT 1 FROM river_queue q WHERE q.name = j.queue AND q.paused_at IS NOT NULL));
END $$;
COMMENT ON FUNCTION scaler_queue_depth() IS 'Jobs that a worker could run now.';

CREATE FUNCTION scaler_oldest_job_seconds() RETURNS double precision
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN (SELECT coalesce(extract(epoch FROM now() - min(j.scheduled_at)), 0) FROM river_job j
            WHERE j.state = 'available' AND j.queue = 'default' AND j.scheduled_at <= now()
              AND NOT EXISTS (SELECT 1 FROM river_queue q WHERE q.name = j.queue AND q.paused_at IS NOT NULL));
END $$;
COMMENT ON FUNCTION scaler_oldest_job_seconds() IS 'How long the job that waits longest could have run already; 0 for none.';

-- The dead band that a plain threshold cannot express: as many workers as there are, unless each has more than up jobs waiting
-- or fewer than down.
CREATE FUNCTION scaler_workers(up integer, down integer) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    depth numeric := scaler_queue_depth();
    alive bigint;
BEGIN
    IF down < 1 OR up < down THEN
        RAISE EXCEPTION 'scaler_workers: up must not be below down, and down must be 1 or more'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT count(*) INTO alive FROM worker_heartbeats WHERE seen_at > now() - interval '12 seconds';
    RETURN greatest(1, least(greatest(alive, ceil(depth / up)), ceil(depth / down)));
END $$;
COMMENT ON FUNCTION scaler_workers(integer, integer) IS
    'Workers wanted: more above up waiting jobs a worker, fewer below down, else as many as are alive.';

-- pg_temp comes last, or a caller's temporary table could stand in for ours.
DO $$
DECLARE
    signature text;
BEGIN
    FOREACH signature IN ARRAY ARRAY['scaler_queue_depth()', 'scaler_oldest_job_seconds()', 'scaler_workers(integer, integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', signature, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
    END LOOP;
END $$;
