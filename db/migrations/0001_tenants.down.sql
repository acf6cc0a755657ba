DROP TABLE audit_log;
DROP TABLE tenant_secrets;
DROP TABLE tenant_configs;
DROP TABLE tenant_directory;
