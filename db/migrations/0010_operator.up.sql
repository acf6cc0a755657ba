-- Why a run waits or failed, as a stable code beside the text, so that an interface can say what to do about it.
ALTER TABLE enhancement_history ADD COLUMN error_code text NOT NULL DEFAULT '';
