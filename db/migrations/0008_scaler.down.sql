DROP FUNCTION scaler_workers(integer, integer);
DROP FUNCTION scaler_oldest_job_seconds();
DROP FUNCTION scaler_queue_depth();
