/** The reference backend: a child process of the node that speaks the guest protocol over its standard streams. It isolates nothing. */
package dev.instar.backend.process;
