-- enhancement_history_statistics serves the same questions, so writing costs no more than before.
-- reviewed: index enhancement_history.enhancement_history_recent: replaced by enhancement_history_statistics of 0011
DROP INDEX enhancement_history_recent;
