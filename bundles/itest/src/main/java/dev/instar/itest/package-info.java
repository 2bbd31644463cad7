/** Tests inside the framework: what comes up, what it registers, what a configuration reaches. */
package dev.instar.itest;
