// json-transform: orders in, totals per customer out, both as JSON.
//
// Input, on stdin:
//
//   {"orders":[{"customer":"a","item":"x","qty":2,"price":1.5}, ...]}
//
// or the bare array. `customer` is a string, `qty` and `price` are numbers;
// other members are passed over. Output, on stdout:
//
//   {"customers":[{"customer":"a","orders":1,"items":2,"total":3}, ...],
//    "orders":1,"total":3}
//
// with the largest total first and equal totals in the order of the names
// (by UTF-16 code units). Amounts are rounded to hundredths for each customer.
// Anything else: a message on stderr, exit code 1. The input is read in pieces,
// so memory grows with the number of customers only.

import { Reader, quote } from "./reader";
import { fail, writeOutput } from "./wasi";

// Output is written in pieces of about this many characters.
const PIECE = 4096;

class Totals {
  orders: i32 = 0;
  items: f64 = 0;
  total: f64 = 0;

  constructor(public customer: string) {}
}

const byCustomer = new Map<string, Totals>();

function readOrder(reader: Reader): void {
  let customer = "";
  let qty: f64 = 0;
  let price: f64 = 0;
  let seen = 0;

  if (!reader.enterObject()) return;
  for (let first = true; reader.nextMember(first); first = false) {
    const key = reader.key();
    if (key == "customer") {
      customer = reader.text();
      seen |= 1;
    } else if (key == "qty") {
      qty = reader.number();
      seen |= 2;
    } else if (key == "price") {
      price = reader.number();
      seen |= 4;
    } else {
      reader.skip();
    }
  }
  if (reader.failed()) return;
  if (seen != 7) return reader.fail("an order needs customer, qty and price: the one that ends");

  let totals: Totals;
  if (byCustomer.has(customer)) {
    totals = byCustomer.get(customer);
  } else {
    totals = new Totals(customer);
    byCustomer.set(customer, totals);
  }
  totals.orders++;
  totals.items += qty;
  totals.total += qty * price;
}

function readOrders(reader: Reader): void {
  if (!reader.enterArray()) return;
  for (let first = true; reader.nextElement(first); first = false) readOrder(reader);
}

function readDocument(reader: Reader): void {
  if (reader.isArray()) {
    readOrders(reader);
  } else {
    let found = false;
    if (reader.isObject()) {
      reader.enterObject();
      for (let first = true; reader.nextMember(first); first = false) {
        if (reader.key() != "orders") reader.skip();
        else if (found) reader.fail("a second list of orders");
        else {
          found = true;
          readOrders(reader);
        }
      }
    }
    if (!found) reader.fail("expected an array of orders, or an object with one as \"orders\":");
  }
  reader.end();
}

/** To hundredths; numbers too large to have any are left alone. */
function hundredths(value: f64): f64 {
  return Math.abs(value) < f64.MAX_SAFE_INTEGER / 100.0 ? Math.round(value * 100.0) / 100.0 : value;
}

/** As text, without the ".0" a whole number would print with. */
function amount(value: f64): string {
  const rounded = hundredths(value);
  if (rounded == 0) return "0"; // also for -0
  const text = rounded.toString();
  return text.endsWith(".0") ? text.substring(0, text.length - 2) : text;
}

function compare(a: Totals, b: Totals): i32 {
  if (a.total != b.total) return a.total > b.total ? -1 : 1;
  return a.customer < b.customer ? -1 : a.customer > b.customer ? 1 : 0;
}

function write(text: string): void {
  if (!writeOutput(text)) fail("cannot write stdout");
}

function main(): void {
  const reader = new Reader();
  readDocument(reader);
  if (reader.failed()) return fail("bad input: " + reader.error);

  const list = byCustomer.values();
  for (let i = 0; i < list.length; i++) list[i].total = hundredths(list[i].total);
  list.sort(compare);

  let orders = 0;
  let total: f64 = 0;
  for (let i = 0; i < list.length; i++) {
    const one = list[i];
    orders += one.orders;
    total += one.total;
    if (!isFinite(one.items) || !isFinite(total)) return fail("a total is out of range");
  }

  let text = '{"customers":[';
  for (let i = 0; i < list.length; i++) {
    const one = list[i];
    if (i > 0) text += ",";
    text +=
      '{"customer":' + quote(one.customer) +
      ',"orders":' + one.orders.toString() +
      ',"items":' + amount(one.items) +
      ',"total":' + amount(one.total) + "}";
    if (text.length >= PIECE) {
      write(text);
      text = "";
    }
  }
  write(text + '],"orders":' + orders.toString() + ',"total":' + amount(total) + "}\n");
}

main();
