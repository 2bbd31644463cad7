/** The node's ports. Nothing is exported: requests leave through {@link dev.instar.api.http.HttpEntry} services. */
package dev.instar.listener;
