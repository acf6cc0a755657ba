ALTER TABLE enhancement_history DROP COLUMN error_code;
