/** What the operating system tells of a mapping, and how it is brought back to what it began with. */
package dev.instar.wasi.pages;
