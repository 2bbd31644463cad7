/** Faasm's first HTTP API, as an {@link dev.instar.api.http.HttpDialect}. Nothing is exported. */
package dev.instar.dialect.faasm;
