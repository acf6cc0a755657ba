CREATE INDEX enhancement_history_recent ON enhancement_history (tenant_id, created_at DESC, id);
