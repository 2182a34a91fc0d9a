// Headless Chromium drives the page of the chat (`apps/chat`); started by `run`.
//
// usage: node chat.js PROGRAM SCREENSHOT
//
// It relies on these element ids of the page: #name and #join (or ?name=X to join at once), #text and #send,
// #messages (the visitor's own have the class `own`, and notices by the page `notice`), #online, #status (`open`,
// `closed 1001 clean`), #waiting around #buffered, #leave; and on `window.socket`.
//
// Prints `pass NAME` or `FAIL NAME: why` for every check, and `end` after the last.
'use strict';
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const { chromium } = require('playwright-core');
const { checker, main } = require('../checks.js');

const [program, screenshot] = process.argv.slice(2);
const WAIT = 20_000; // milliseconds after which something that should appear counts as missing
const check = checker();
const MIB = 1 << 20;
const PART = 64 * 1024; // characters of one message of the flood
const FILLER = crypto.randomBytes(PART).toString('base64').slice(16, PART); // random, so compression does not shrink it
const PARTS = (16 * MIB) / PART;
const ROUND = 16; // messages that are sent before all readers must have received them, so that no reader falls behind
// The chat's Deflate::low_memory, and what Chromium offers.
const AGREED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12';
const STOP = 1000; // milliseconds within which the server promises to end
const SLACK = 1000; // milliseconds that a busy machine may need in addition

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

async function startServer(port) {
  const server = spawn(program, [`127.0.0.1:${port}`], { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = once(server, 'exit').then(([status, signal]) => ({ status, signal, at: Date.now() }));
  for (const giveUp = Date.now() + WAIT; ; await sleep(50)) {
    assert.ok(Date.now() < giveUp && server.exitCode === null, 'the chat does not answer');
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
    if (answer) return { server, ended };
  }
}

// Opens a tab in a browser context of its own, so that a stuck tab does not delay the others.
async function tab(browser, url, strangers, errors) {
  const context = await browser.newContext({ viewport: { width: 960, height: 720 } });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  page.on('request', (r) => { if (new URL(r.url()).host !== new URL(url).host) strangers.push(r.url()); });
  page.on('pageerror', (e) => errors.push(e.message));
  await page.goto(url);
  return page;
}

const text = (page, id) => page.locator(id).textContent().then((t) => t.trim());

async function shows(page, id, wanted) {
  const giveUp = Date.now() + WAIT;
  for (;;) {
    const got = await text(page, id);
    if (got === wanted) return;
    assert.ok(Date.now() < giveUp, `${id} shows ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
    await sleep(50);
  }
}

async function say(page, line) {
  await page.fill('#text', line);
  await page.click('#send');
}

const hears = (page, line) =>
  page.waitForFunction((l) => [...document.querySelectorAll('#messages > *')].some((m) => m.textContent.includes(l)), line);

// Returns the messages in the list, and whether each is shown as the visitor's own.
const said = (page) => page.evaluate(() => [...document.querySelectorAll('#messages > :not(.notice)')]
  .map((m) => [m.querySelector('span').textContent, m.classList.contains('own')]));

// Records in `window.parts` which parts of a flood arrive completely, in order of arrival.
const listen = (page) => page.evaluate((filler) => {
  window.socket.addEventListener('message', ({ data }) => {
    const found = typeof data === 'string' && /part (\d+) /.exec(data);
    if (found && data.includes(filler)) window.parts.push(Number(found[1]));
  });
}, FILLER);

// Sends up to 16 MiB, in rounds until `full()`; all `readers` must receive every part.
async function flood(sender, readers, full = () => false) {
  for (const reader of readers) await reader.evaluate(() => { window.parts = []; });
  let sent = 0;
  while (sent < PARTS && !full()) {
    await sender.evaluate(([first, count, filler]) => {
      for (let i = first; i < first + count; i += 1) {
        document.querySelector('#text').value = `part ${i} `.padEnd(16) + filler;
        document.querySelector('#send').click();
      }
    }, [sent, ROUND, FILLER]);
    sent += ROUND;
    for (const reader of readers) await reader.waitForFunction((n) => window.parts.length >= n, sent);
  }
  for (const reader of readers) {
    assert.deepEqual(await reader.evaluate(() => window.parts), Array.from({ length: sent }, (_, i) => i));
  }
}

// Stops the page's thread in an alert, so that nothing reads its socket until that is accepted.
async function getStuck(page) {
  const alert = page.waitForEvent('dialog');
  await page.evaluate(() => { setTimeout(() => window.alert('not reading'), 0); });
  return alert;
}

// Returns the number of bytes from `port` that were not read: unsent at the server or unread at the browser.
function unread(port) {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let octets = 0;
  for (const line of fs.readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local, remote, , queues] = line.trim().split(/\s+/);
    const [unsent, received] = (queues ?? '').split(':').map((hex) => parseInt(hex, 16));
    if (local?.endsWith(end)) octets += unsent;
    if (remote?.endsWith(end)) octets += received;
  }
  return octets;
}

async function checks() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const { server, ended } = await startServer(port);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
      '--disable-background-networking', '--disable-component-update'],
  });
  const strangers = [];
  const errors = [];
  const open = (path) => tab(browser, url + path, strangers, errors);
  try {
    const ada = await open('');
    await check('a name and a click join', async () => {
      await ada.fill('#name', 'ada');
      await ada.click('#join');
      await shows(ada, '#status', 'open');
      await shows(ada, '#online', '1');
    });
    let bob = await open('?name=bob');
    await check('a second tab joins by its address, both count two', async () => {
      await shows(bob, '#status', 'open');
      await shows(ada, '#online', '2');
      await shows(bob, '#online', '2');
    });
    await check('two tabs talk', async () => {
      await say(ada, 'hello, wer ist da? 🌍');
      await hears(bob, 'ada: hello, wer ist da? 🌍');
      await hears(ada, 'ada: hello, wer ist da? 🌍');
      await say(bob, 'bob here');
      await hears(ada, 'bob: bob here');
    });
    await check('they compress, as the chat asks for', async () => {
      for (const page of [ada, bob]) assert.equal(await page.evaluate(() => window.socket.extensions), AGREED);
      return AGREED;
    });
    await check('markup is shown, not run', async () => {
      await say(bob, '<b id="bold">bold</b>');
      await hears(ada, 'bob: <b id="bold">bold</b>');
      assert.equal(await ada.locator('#bold').count(), 0);
    });
    await ada.screenshot({ path: screenshot });
    await check('it fits a screen of 360 pixels', async () => {
      const wide = ada.viewportSize();
      await ada.setViewportSize({ width: 360, height: 640 });
      const [page, hint, room] = await ada.evaluate(() => {
        const input = document.querySelector('#text');
        const style = getComputedStyle(input);
        const pen = document.createElement('canvas').getContext('2d');
        pen.font = style.font;
        return [document.documentElement.scrollWidth, pen.measureText(input.placeholder).width,
          input.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)];
      });
      await ada.setViewportSize(wide);
      assert.ok(page <= 360, `the page is ${page} pixels wide`);
      assert.ok(hint <= room, `the placeholder takes ${hint} pixels of ${room}`);
      return `${Math.round(hint)} of ${Math.round(room)}`;
    });
    await check('leaving closes with 1000, clean', async () => {
      await bob.click('#leave');
      await shows(bob, '#status', 'closed 1000 clean');
      await shows(ada, '#online', '1');
      await bob.context().close();
    });

    await check('two of one name are told apart', async () => {
      const [one, other] = [await open('?name=anna'), await open('?name=anna')];
      for (const page of [one, other]) await shows(page, '#online', '3');
      await say(one, 'from the one anna');
      await say(other, 'from the other anna');
      for (const page of [one, other, ada]) await hears(page, 'anna: from the other anna');
      const last = async (page) => (await said(page)).slice(-2);
      assert.deepEqual(await last(one), [['from the one anna', true], ['from the other anna', false]]);
      assert.deepEqual(await last(other), [['from the one anna', false], ['from the other anna', true]]);
      assert.deepEqual(await last(ada), [['from the one anna', false], ['from the other anna', false]]);
      for (const page of [one, other]) await page.context().close();
      await shows(ada, '#online', '1');
    });
    await check('who comes late sees the last 20 messages, and who comes again sees none twice', async () => {
      const lines = Array.from({ length: 21 }, (_, i) => `line ${i}`);
      for (const line of lines) await say(ada, line);
      await hears(ada, 'ada: line 20');
      const late = await open('?name=late');
      await shows(late, '#online', '2');
      assert.deepEqual(await said(late), lines.slice(1).map((line) => [line, false]));
      await late.click('#leave');
      await shows(late, '#status', 'closed 1000 clean');
      await hears(late, 'You have left.');
      await say(ada, 'while late was away');
      await late.click('#join');
      await hears(late, 'ada: while late was away');
      await shows(late, '#online', '2');
      assert.deepEqual((await said(late)).map(([line]) => line), [...lines.slice(1), 'while late was away']);
      await late.context().close();
      await shows(ada, '#online', '1');
    });

    bob = await open('?name=bob');
    const carol = await open('?name=carol');
    await check('three are online', () => Promise.all([ada, bob, carol].map((page) => shows(page, '#online', '3'))));
    await listen(ada);
    await listen(bob);
    let stuck;
    await check('16 MiB reach those who read while one tab does not', async () => {
      stuck = await getStuck(carol);
      const started = Date.now();
      await flood(ada, [ada, bob]);
      const left = unread(port);
      assert.ok(left > PART, `the stuck tab has read: only ${left} octets are on their way`);
      return `${Date.now() - started} ms, ${left} octets on their way to the third`;
    });
    await check('bufferedAmount is back at 0, and no longer shown', async () => {
      await shows(ada, '#buffered', '0');
      await ada.waitForSelector('#waiting', { state: 'hidden' });
    });
    await check('it is shown while something waits', async () => {
      // This is the page's own socket, whose value is real again afterwards.
      await ada.evaluate(() => Object.defineProperty(window.socket, 'bufferedAmount', { value: 5, configurable: true }));
      await ada.waitForSelector('#waiting', { state: 'visible' });
      assert.match(await text(ada, '#waiting'), /^5 bytes wait/);
      await ada.evaluate(() => { delete window.socket.bufferedAmount; });
      await ada.waitForSelector('#waiting', { state: 'hidden' });
    });
    await check('talk goes on beside the stuck tab', async () => {
      await say(bob, 'still there?');
      await hears(ada, 'bob: still there?');
    });
    await check('the stuck tab is given up in the end', () => shows(ada, '#online', '2'));
    await check('it learns of that when it wakes', async () => {
      await stuck.accept();
      await carol.waitForFunction(() => /^closed \d{4} (clean|unclean)$/.test(document.querySelector('#status').textContent.trim()));
      return text(carol, '#status');
    });

    const dave = await open('?name=dave');
    await check('a tab that has just got stuck still counts', async () => {
      await shows(ada, '#online', '3');
      await getStuck(dave);
      let before = -1;
      await flood(ada, [ada, bob], () => {
        const now = unread(port);
        const full = now > PART && now === before; // one more round went by, and the sockets took no more
        before = now;
        return full;
      });
      assert.equal(await text(ada, '#online'), '3');
      return `${before} octets on their way to it`;
    });
    const stopped = Date.now();
    server.kill('SIGINT');
    await check('the server stops in time, though that tab takes no Close', async () => {
      const end = await Promise.race([ended, sleep(STOP + SLACK, null, { ref: false })]);
      assert.ok(end, `it still runs after ${STOP + SLACK} ms`);
      assert.deepEqual([end.status, end.signal], [0, null]);
      return `${end.at - stopped} ms`;
    });
    await check('its end closes with 1001, clean', async () => {
      await shows(ada, '#status', 'closed 1001 clean');
      await shows(bob, '#status', 'closed 1001 clean');
    });
    await check('a server that is not there is told in words', async () => {
      await hears(ada, 'The server has closed the connection: the server stops.');
      assert.equal(await text(ada, '#join'), 'Join again');
      await ada.click('#join');
      await hears(ada, 'The server cannot be reached.');
      await shows(ada, '#status', 'closed 1006 unclean');
    });
    const again = await startServer(port);
    await check('one that is there again can be joined again', async () => {
      const before = (await said(ada)).length;
      await ada.click('#join');
      await shows(ada, '#status', 'open');
      await shows(ada, '#online', '1');
      await say(ada, 'to the new server');
      await hears(ada, 'ada: to the new server');
      const lines = await said(ada);
      assert.deepEqual([lines.length, lines.at(-1)], [before + 1, ['to the new server', true]]);
    });
    again.server.kill('SIGKILL');
    await check('a connection that is lost is told in words', async () => {
      await hears(ada, 'The connection was lost.');
      await shows(ada, '#status', 'closed 1006 unclean');
      assert.ok(await ada.locator('#join').isVisible());
    });
    const last = await startServer(port);
    await check('the termination signal closes with 1001 too, and does not wait for the deadline', async () => {
      for (const page of [ada, bob]) {
        await page.click('#join');
        await shows(page, '#status', 'open');
      }
      const told = Date.now();
      last.server.kill('SIGTERM');
      for (const page of [ada, bob]) await shows(page, '#status', 'closed 1001 clean');
      const end = await Promise.race([last.ended, sleep(STOP + SLACK, null, { ref: false })]);
      last.server.kill('SIGKILL');
      assert.ok(end, `it still runs after ${STOP + SLACK} ms`);
      assert.deepEqual([end.status, end.signal], [0, null]);
      assert.ok(end.at - told < STOP, `it took ${end.at - told} ms`);
      return `${end.at - told} ms`;
    });
    await check('the page asks nobody else', () => assert.deepEqual(strangers, []));
    await check('the page throws nothing', () => assert.deepEqual(errors, []));
  } finally {
    server.kill('SIGKILL');
    await browser.close();
  }
}

main(checks);
