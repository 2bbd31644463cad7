/** What an operator does to a running node, for whoever brings it there: the HTTP API, a watched directory, a shell. */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.api.operations;
