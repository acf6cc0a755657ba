module aiagents/internal/chaos

go 1.26.0

require aiagents v0.0.0

replace aiagents => ../..
