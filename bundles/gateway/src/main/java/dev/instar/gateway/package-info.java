/** Routing, admission, and Instar's own API under {@code /v1}. Nothing is exported. */
package dev.instar.gateway;
