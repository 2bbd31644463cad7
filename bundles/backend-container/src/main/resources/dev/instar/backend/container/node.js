// The first process of a container with a JavaScript function: loads it and makes one call (guest protocol, version 1: docs/guest-protocol.md).
//
// The function's file exports an (async) function of a call, as module.exports or module.exports.handle:
//
//     call.input         the body: a readable stream
//     call.output        the answer: a writable stream; a string or Buffer that the function returns is written to it, too
//     call.invocation    the id of the invocation
//     call.deadline      how many seconds were left when the call began
//     call.metadata      all that the host said of the call
//
// What stands beside it is done once, before the call. Node has threads of its own from its start and cannot be forked, so a process serves one call, and the
// node has others ready. console.log and console.error go to the function's log. process.exit(n) in a call ends it as a failure.
'use strict';
const fs = require('fs');
const path = require('path');
const { Readable, Writable } = require('stream');
const { Console } = require('console');

const HELLO = 1, READY = 2, PING = 3, PONG = 4, BYE = 5, CALL = 0x10, INPUT = 0x11, INPUT_END = 0x12, CANCEL = 0x13, CREDIT = 0x14;
const OUTPUT = 0x20, RESULT = 0x22, ANSWERED = 0, TRAPPED = 2;
const MAX_PAYLOAD = 65536, MAX_DATA = MAX_PAYLOAD - 4, MAX_TEXT = 4096, GRANT = 32768;

global.console = new Console(process.stderr, process.stderr);
process.stdout.write = process.stderr.write.bind(process.stderr);

function send(kind, payload) {
  const frame = Buffer.alloc(5 + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame[4] = kind;
  payload.copy(frame, 5);
  for (let at = 0; at < frame.length;) {
    try {
      at += fs.writeSync(1, frame, at);
    } catch (e) {
      if (e.code !== 'EAGAIN') process.exit(1);
    }
  }
}

function withCall(number, data) {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(number, 0);
  return Buffer.concat([head, data]);
}

function result(number, status, message) {
  const head = Buffer.alloc(5);
  head[0] = status;
  // Cut between two characters.
  const text = Buffer.from(Buffer.from(message).subarray(0, MAX_TEXT).toString().replace(/\uFFFD+$/, ''));
  send(RESULT, withCall(number, Buffer.concat([head, text])));
}

function metadata(payload) {
  const map = {};
  let at = 6;
  const text = () => {
    const size = payload.readUInt16BE(at);
    at += 2 + size;
    return payload.toString('utf8', at - size, at);
  };
  for (let left = payload.readUInt16BE(4); left > 0; left--) {
    const key = text();
    map[key] = text();
  }
  return map;
}

let running = null;
let handle = null;

async function serve(payload) {
  const number = payload.readUInt32BE(0);
  let granted = 0;
  const input = new Readable({ read() {} });
  input.on('error', () => {});
  const count = input.push.bind(input);
  running = {
    number,
    feed(data) {
      count(data);
      granted += data === null ? 0 : data.length;
      if (granted >= GRANT && data !== null) {
        const credit = Buffer.alloc(8);
        credit.writeUInt32BE(number, 0);
        credit.writeUInt32BE(granted, 4);
        granted = 0;
        // Not before the function has taken what is there.
        const grant = () => (input.readableLength > 2 * GRANT && !input.destroyed ? setTimeout(grant, 1) : send(CREDIT, credit));
        grant();
      }
    },
  };
  const output = new Writable({
    write(chunk, encoding, done) {
      for (let at = 0; at < chunk.length; at += MAX_DATA) {
        send(OUTPUT, withCall(number, chunk.subarray(at, at + MAX_DATA)));
      }
      done();
    },
  });
  const said = metadata(payload);
  const call = { input, output, metadata: said, invocation: said.invocation || '', deadline: Number(said['deadline-ms'] || 0) / 1000 };
  try {
    const answer = await handle(call);
    if (answer !== undefined && answer !== null) {
      output.write(Buffer.isBuffer(answer) ? answer : String(answer));
    }
    await new Promise((done) => (output.writableFinished ? done() : output.end(done)));
    result(number, ANSWERED, '');
  } catch (e) {
    console.error(e);
    result(number, TRAPPED, String(e && e.message !== undefined ? `${e.name}: ${e.message}` : e));
  }
  running = null;
}

let waiting = Buffer.alloc(0);
let greeted = false;

function take(kind, payload) {
  if (!greeted) {
    if (kind !== HELLO || payload.toString('latin1', 0, 4) !== 'INST' || payload.readUInt16BE(4) > 1 || payload.readUInt16BE(6) < 1) process.exit(1);
    greeted = true;
    send(READY, Buffer.alloc(0));
  } else if (kind === CALL) {
    serve(payload);
  } else if (kind === INPUT || kind === INPUT_END) {
    if (running && running.number === payload.readUInt32BE(0)) running.feed(kind === INPUT ? payload.subarray(4) : null);
  } else if (kind === PING) {
    send(PONG, payload);
  } else if (kind === BYE || kind === CANCEL) {
    process.exit(0);
  } else if (kind !== PONG) {
    process.exit(1);
  }
}

const hello = Buffer.from('INST\0\x01\0\x01', 'latin1');
send(HELLO, hello);
const file = path.resolve(process.argv[2]);
process.argv.splice(1, 1);
const loaded = require(file);
handle = typeof loaded === 'function' ? loaded : loaded.handle;
if (typeof handle !== 'function') {
  console.error(`${file} exports no function`);
  process.exit(1);
}
process.on('uncaughtException', (e) => {
  console.error(e);
  if (running) result(running.number, TRAPPED, String(e && e.message !== undefined ? `${e.name}: ${e.message}` : e));
  process.exit(1);
});
process.on('exit', (code) => {
  if (running && code !== 0) {
    const head = Buffer.alloc(5);
    head[0] = 1;
    head.writeInt32BE(code, 1);
    send(RESULT, withCall(running.number, head));
  } else if (running) {
    result(running.number, ANSWERED, '');
  }
});
process.stdin.on('data', (data) => {
  waiting = waiting.length ? Buffer.concat([waiting, data]) : data;
  while (waiting.length >= 5) {
    const length = waiting.readUInt32BE(0);
    if (length > MAX_PAYLOAD) process.exit(1);
    if (waiting.length < 5 + length) break;
    const payload = waiting.subarray(5, 5 + length);
    const kind = waiting[4];
    waiting = waiting.subarray(5 + length);
    take(kind, payload);
  }
});
process.stdin.on('end', () => process.exit(0));
