/** Whether the node and its parts work: the node's own checks, and what runs them and those of any other bundle. */
package dev.instar.operations.health;
