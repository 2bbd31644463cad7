/** Who may do what: credentials, and the one place that says which route needs which. */
package dev.instar.gateway.access;
