// Node's `ws` as the other end; started by `run`.
//
// usage: node ws_peer.js client URL [CERT]              against the echo server at URL
//        node ws_peer.js server PROGRAM [CERT KEY]      against the client example PROGRAM
//
// Prints `pass NAME` or `FAIL NAME: why` for every check, and `end` after the last.
'use strict';
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { WebSocket, WebSocketServer } = require('ws');
const { checker, main } = require('../checks.js');

const LIMIT = 30_000; // milliseconds a check may take before it counts as hung
const check = checker(LIMIT);
const MIB = 1 << 20;
const CLOSES = [[1000, 'done'], [1001, 'going away'], [3000, 'registered'], [4999, 'private, grüße']];
const DEFLATE = 'DEFLATE' in process.env; // our end has --deflate
const WINDOWS = [
  true,
  { serverNoContextTakeover: true, clientNoContextTakeover: true },
  { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  { serverMaxWindowBits: 12, serverNoContextTakeover: true, threshold: 0 },
];
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

// Returns the next `count` messages, text as string and binary as Buffer.
function receive(ws, count) {
  return new Promise((resolve, reject) => {
    const messages = [];
    const onClose = (code) => reject(new Error(`closed with ${code} after ${messages.length} messages`));
    ws.on('close', onClose);
    ws.on('message', function take(data, isBinary) {
      messages.push(isBinary ? data : data.toString());
      if (messages.length === count) {
        ws.off('message', take);
        ws.off('close', onClose);
        resolve(messages);
      }
    });
  });
}

function same(got, wanted, what) {
  const equal = Buffer.isBuffer(wanted) ? Buffer.isBuffer(got) && wanted.equals(got) : got === wanted;
  assert.ok(equal, `${what} differs: ${typeof got} of length ${got?.length}`);
}

// Sends the parts as fragments of one message, with a ping between any two.
function sendFragments(ws, parts, binary) {
  parts.forEach((part, i) => {
    if (i > 0) ws.ping(`between ${i}`);
    ws.send(part, { binary, fin: i === parts.length - 1 });
  });
}

async function pings(ws) {
  for (const payload of [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(125, 0xff)]) {
    ws.ping(payload);
    const [pong] = await once(ws, 'pong');
    same(pong, payload, 'the pong');
  }
}

// ---- client of our echo server

async function open(url, options) {
  const ws = new WebSocket(url, options);
  await once(ws, 'open');
  return ws;
}

async function echoed(ws, message, send = () => ws.send(message)) {
  const answer = receive(ws, 1);
  send();
  same((await answer)[0], message, 'the echo');
}

async function client(url, cert) {
  const options = cert ? { ca: fs.readFileSync(cert) } : {};
  const ws = await open(url, options);
  if (DEFLATE) {
    await check('compression was agreed on', () => assert.match(ws.extensions, /^permessage-deflate/));
    for (const perMessageDeflate of WINDOWS) {
      await check(`compression, ${JSON.stringify(perMessageDeflate)}`, async () => {
        const small = await open(url, { ...options, perMessageDeflate });
        assert.match(small.extensions, /^permessage-deflate/);
        for (let n = 0; n < 200; n += 1) await echoed(small, `one message is much like the next, ${n} `.repeat(n % 50));
        await echoed(small, Buffer.alloc(MIB, ALL_BYTES));
        small.close();
      });
    }
  }
  await check('text', () => echoed(ws, 'hello, Grüße, 🌍'));
  await check('empty text', () => echoed(ws, ''));
  await check('binary, all bytes', () => echoed(ws, ALL_BYTES));
  await check('text in fragments, cut inside a character, pings between', async () => {
    const text = 'one, zwei, 三, 🌍';
    const bytes = Buffer.from(text);
    const parts = [];
    for (let i = 0; i < bytes.length; i += 3) parts.push(bytes.subarray(i, i + 3));
    let pongs = 0;
    const onPong = () => { pongs += 1; };
    ws.on('pong', onPong);
    await echoed(ws, text, () => sendFragments(ws, parts, false));
    ws.off('pong', onPong);
    assert.ok(pongs > 0, 'no pong came before the echo');
  });
  await check('binary in fragments, pings between', () => {
    const parts = Array.from({ length: 100 }, (_, i) => Buffer.alloc(i, i));
    return echoed(ws, Buffer.concat(parts), () => sendFragments(ws, parts, true));
  });
  await check('1 MiB of text', () => echoed(ws, 'x' + 'Bär '.repeat(MIB / 5)));
  await check('1 MiB of binary', () => echoed(ws, Buffer.alloc(MIB, ALL_BYTES)));
  await check('1,000 messages, in order', async () => {
    const numbers = Array.from({ length: 1000 }, (_, i) => String(i));
    const answer = receive(ws, 1000);
    numbers.forEach((n) => ws.send(n));
    assert.deepEqual(await answer, numbers);
  });
  await check('ping is answered', () => pings(ws));
  await check('a pong nobody asked for is ignored', () => {
    ws.pong('unasked');
    return echoed(ws, 'still here');
  });
  await check('close without a code by the peer', async () => {
    ws.close();
    const [code] = await once(ws, 'close');
    assert.equal(code, 1005);
  });
  for (const [code, reason] of CLOSES) {
    await check(`close ${code} by the peer`, async () => {
      const closing = await open(url, options);
      await echoed(closing, 'before the close');
      closing.close(code, reason);
      const [answered] = await once(closing, 'close');
      assert.equal(answered, code);
    });
  }
}

// ---- server of our client

// Runs the client example against a server that calls `behave(ws, request)` with its connection.
// Returns the client's output and exit status, and the close code that the server received.
async function run(program, tls, behave, { stdin, args = [], insecure = true, ...options } = {}) {
  const web = tls ? https.createServer({ cert: tls.cert, key: tls.key }) : http.createServer();
  const server = new WebSocketServer({ server: web, perMessageDeflate: DEFLATE, ...options });
  let failure;
  let closeCode;
  let connected = false;
  const over = new Promise((resolve) => {
    server.on('connection', (ws, request) => {
      connected = true;
      if (DEFLATE && !ws.extensions) failure = new Error('compression was not agreed on');
      ws.on('close', (code) => { closeCode = code; resolve(); });
      Promise.resolve(behave(ws, request)).catch((e) => { failure = e; ws.terminate(); });
    });
  });
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  const url = `${tls ? 'wss' : 'ws'}://127.0.0.1:${web.address().port}/path?query=1`;
  const child = spawn(program, [url, ...args, ...(tls && insecure ? ['--insecure'] : []), ...(DEFLATE ? ['--deflate'] : [])]);
  const hung = setTimeout(() => child.kill('SIGKILL'), LIMIT - 2000);
  const chunks = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  child.stderr.on('data', (chunk) => chunks.push(chunk));
  child.stdin.on('error', () => {});
  if (stdin !== undefined) child.stdin.end(stdin); // otherwise it stays open, and the server must end the connection
  const [status, signal] = await once(child, 'close');
  clearTimeout(hung);
  if (connected) await over;
  server.close();
  web.closeAllConnections();
  web.close();
  if (failure) throw failure;
  assert.equal(signal, null, `the client was killed, its output: ${Buffer.concat(chunks).toString().slice(0, 300)}`);
  return { output: Buffer.concat(chunks).toString(), status, closeCode, connected };
}

function expectLine(output, line) {
  assert.ok(output.split(/\r?\n/).includes(line), `no output line is ${line.slice(0, 60)}: ${output.slice(0, 300)}`);
}

async function server(program, tls) {
  const ours = (behave, options) => run(program, tls, behave, options);
  await check('lines come back, 1 MiB too', async () => {
    const lines = ['hello', 'Grüße, 🌍', 'x'.repeat(MIB)];
    const texts = [];
    const { output, status, closeCode } = await ours((ws) => {
      ws.on('message', (data, isBinary) => {
        texts.push(isBinary ? data : data.toString());
        ws.send(data, { binary: isBinary });
      });
    }, { stdin: lines.join('\n') + '\n' });
    assert.equal(texts.length, lines.length);
    lines.forEach((line, i) => same(texts[i], line, 'what the server received'));
    lines.forEach((line) => expectLine(output, line));
    assert.equal(closeCode, 1000);
    assert.equal(status, 0);
  });
  await check('text, binary, fragments, pings between, 1 MiB arrive', async () => {
    const long = 'y'.repeat(MIB);
    const { output, status } = await ours((ws) => {
      ws.send('plain');
      ws.send(ALL_BYTES);
      const bytes = Buffer.from('Stück für Stück');
      sendFragments(ws, Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)), false);
      ws.send(long);
      ws.close(1000, 'all sent');
    });
    ['plain', 'Stück für Stück', long].forEach((line) => expectLine(output, line));
    assert.match(output.replace(long, ''), /256/, 'the binary message of 256 bytes is shown');
    assert.equal(status, 0);
  });
  await check('pings are answered', async () => {
    const { status } = await ours(async (ws) => {
      await pings(ws);
      ws.close(1000);
    });
    assert.equal(status, 0);
  });
  await check('close without a code by the server', async () => {
    const { status, closeCode } = await ours((ws) => ws.close());
    assert.equal(closeCode, 1005);
    assert.equal(status, 0);
  });
  for (const [code, reason] of CLOSES) {
    await check(`close ${code} by the server`, async () => {
      const { output, status, closeCode } = await ours((ws) => ws.close(code, reason));
      assert.equal(closeCode, code);
      assert.match(output, new RegExp(`\\b${code}\\b`));
      assert.ok(output.includes(reason), `the reason is not shown: ${output.slice(0, 300)}`);
      assert.equal(status, 0);
    });
  }
  await check('header, path and subprotocol', async () => {
    const { status } = await ours((ws, request) => {
      assert.equal(request.headers['x-test'], 'a b');
      assert.equal(request.url, '/path?query=1');
      assert.equal(ws.protocol, 'second');
      ws.close(1000);
    }, {
      args: ['--header', 'X-Test:a b', '--protocol', 'first', '--protocol', 'second'],
      handleProtocols: (offered) => (offered.has('first') && offered.has('second') ? 'second' : false),
    });
    assert.equal(status, 0);
  });
  await check('a cut connection is no clean end', async () => {
    const { status, output } = await ours((ws) => ws.terminate());
    assert.notEqual(status, 0, output);
  });
  await check('a refused upgrade is told', async () => {
    const { status, output, connected } = await ours(() => {}, {
      verifyClient: (_, decide) => decide(false, 403, 'not for you\n'),
    });
    assert.ok(!connected);
    assert.notEqual(status, 0);
    assert.match(output, /403/);
  });
  if (tls) {
    await check('an unknown certificate is refused', async () => {
      const { status, connected } = await ours(() => {}, { insecure: false });
      assert.ok(!connected, 'the client accepted a certificate that nobody signed');
      assert.notEqual(status, 0);
    });
  }
}

const [role, target, cert, key] = process.argv.slice(2);
main(async () => {
  if (role === 'client') {
    await client(target, cert);
  } else {
    await server(target, cert && { cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
  }
});
