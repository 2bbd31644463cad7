/** The HTTP API of the first generation of Faasm: upload, call and fetch a function at one path. */
package dev.instar.dialect.faasm;
