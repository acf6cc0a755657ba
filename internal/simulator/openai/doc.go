// Package openai is an in-process stand-in for an OpenAI-compatible API:
// /v1/chat/completions, /v1/models and /v1/embeddings.
//
// It owns a script of behaviours (good answers and every kind of bad one) and a
// ledger of requests, so that a test can search prompts for text that must not be
// there. It knows nothing about the product: the schema comes with the request, and
// a caller that wants sensible answers passes Respond.
//
// Invariants:
//   - What the real API refuses is refused before any scripted behaviour: bad key,
//     unknown or retired model, unknown arguments, schemas that strict mode does not
//     take, arguments that reasoning models do not take.
//   - The same request gets the same answer. Nothing is random.
//   - Every request is counted, also one that got no answer.
//
// Not played: streaming, tools, audio and images, which are refused with 400.
//
// When a neighbour fails: there is none. A caller that leaves ends its stalled request.
package openai
