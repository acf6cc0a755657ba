// Package eval measures how well past tickets are found, on labelled data and through the product's own code path: a real
// database, the role that row-level security binds, the same import and the same ranking.
//
// It owns no table. It writes the documents of each labelled tenant into a tenant of its own, "eval-" and the name, and
// removes them when it ends. It must not run against a database that serves tenants of these names.
package eval
