/** How functions are called and bounded, whatever engine runs them: Faasm's convention, budgets, and the words for what they die of. */
package dev.instar.wasi.guest;
