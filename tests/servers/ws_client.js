// Node's ws as the client of a program that has a page and its socket at one address; started by `judge.py`.
//
// usage: node ws_client.js ADDR
//
// Prints `pass NAME` or `FAIL NAME: why` for every check, and `end` after the last.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { once } = require('node:events');
const WebSocket = require('ws');
const { checker, main } = require('../checks.js');

const addr = process.argv[2];
const url = `ws://${addr}/`;
const check = checker(30_000); // milliseconds a check may take before it counts as hung

async function open(options) {
  const ws = new WebSocket(url, options);
  await once(ws, 'open');
  return ws;
}

async function echoes(ws, message) {
  ws.send(message);
  const [data, isBinary] = await once(ws, 'message');
  assert.equal(isBinary, typeof message !== 'string');
  assert.ok(data.equals(Buffer.from(message)), 'the echo is another message');
}

// Returns the status with which a client is refused.
async function refused(options) {
  const ws = new WebSocket(url, options);
  const answer = once(ws, 'unexpected-response');
  const opened = once(ws, 'open').then(() => { throw new Error('it was let in'); });
  const [request, response] = await Promise.race([answer, opened]);
  request.destroy();
  return response.statusCode;
}

async function checks() {
  await check('echo of text, binary and 1 MiB', async () => {
    const ws = await open();
    for (const message of ['hello, Grüße, 🌍', '', crypto.randomBytes(1000), 'x'.repeat(1 << 20), crypto.randomBytes(1 << 20)]) {
      await echoes(ws, message);
    }
    ws.close(1000, 'done');
    const [code] = await once(ws, 'close');
    assert.equal(code, 1000);
  });
  await check('20 sockets at once', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => open()));
    await Promise.all(all.map((ws, n) => echoes(ws, `number ${n}`)));
    all.forEach((ws) => ws.terminate());
  });
  await check('its own page is let in', async () => {
    const ws = await open({ origin: `http://${addr}` });
    await echoes(ws, 'hello');
    ws.terminate();
  });
  await check('another page is refused', async () => {
    assert.equal(await refused({ origin: 'http://evil.test' }), 403);
  });
  await check('a GET without an upgrade gets the page', async () => {
    const answer = await fetch(`http://${addr}/`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /^text\/html/);
    assert.match(await answer.text(), /new WebSocket\(/);
  });
}

main(checks);
