/** Secrets of users in files, and their loan to sandboxes. */
package dev.instar.secrets;
