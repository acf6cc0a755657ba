// Package simulator holds stand-ins for the services aiagents talks to:
// servicedesk for the ticketing system and openai for the language model.
//
// They are real HTTP handlers, used by tests and by the demo command, and they
// refuse what the real services refuse: a client that works only because its
// stand-in is lenient would fail at the first customer. They hold no product
// logic, and production code never imports them.
package simulator
