DROP INDEX system_inventory_retired;
DROP TABLE housekeeping_runs;
