DROP TABLE model_calls;
DROP TABLE enhancement_history;
