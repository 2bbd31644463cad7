/**
 * For backends whose guests live in processes of their own. The framed guest protocol, version 1, as docs/guest-protocol.md specifies it: the codec, and the
 * host's end over any byte stream; and what else such sandboxes have in common, whatever they speak.
 */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.api.guest;
