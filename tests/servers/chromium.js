// Headless Chromium on the pages of servers; started by `judge.py`.
//
// usage: node chromium.js VISITS
//
// VISITS is JSON: a list of objects with `name`, `page` (a URL), `socket` (the URL of an echo on the same origin), `foreign` (the URL
// of a page of another origin) and `shows` (whether the page shows the echo of `hello` in #echo).
//
// Prints `pass NAME`, or `FAIL NAME: why`, for every check, and `end` after the last.
'use strict';
const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');
const { checker, main } = require('../checks.js');

const visits = JSON.parse(process.argv[2]);
const WAIT = 20_000; // milliseconds after which something that should appear counts as missing
const check = checker();

// Opens a page. What the browser says of its sockets goes to `said`.
async function open(context, url, said) {
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  page.on('console', (message) => said.push(message.text()));
  const answer = await page.goto(url);
  assert.equal(answer.status(), 200);
  return page;
}

// Opens a socket in a page. Returns what it has received, or `closed CODE`.
const socket = (page, url, messages) => page.evaluate(([to, texts, limit]) => new Promise((resolve) => {
  const got = [];
  const ws = new WebSocket(to);
  ws.binaryType = 'arraybuffer';
  setTimeout(() => resolve('it hangs'), limit);
  ws.onopen = () => texts.forEach((text) => { ws.send(text); ws.send(new TextEncoder().encode(text)); });
  ws.onclose = ({ code }) => resolve(`closed ${code}`);
  ws.onmessage = ({ data }) => {
    got.push(typeof data === 'string' ? data : new TextDecoder().decode(data));
    if (got.length === 2 * texts.length) { resolve(got); ws.close(1000); }
  };
}), [url, messages, WAIT]);

async function checks() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
      '--disable-background-networking', '--disable-component-update'],
  });
  try {
    for (const visit of visits) {
      // The certificate signs itself.
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      const said = [];
      if (visit.shows) {
        await check(`${visit.name}, the page shows an echo`, async () => {
          const page = await open(context, visit.page, said);
          await page.waitForFunction(() => document.querySelector('#echo').textContent === 'hello');
        });
      }
      await check(`${visit.name}, text, binary and 1 MiB are echoed to the page`, async () => {
        const page = await open(context, visit.page, said);
        const messages = ['hello, Grüße, 🌍', 'x'.repeat(1 << 20)];
        assert.deepEqual(await socket(page, visit.socket, messages), messages.flatMap((text) => [text, text]));
      });
      await check(`${visit.name}, a page of another origin is refused`, async () => {
        const page = await open(context, visit.foreign, said);
        said.length = 0;
        assert.equal(await socket(page, visit.socket, ['hello']), 'closed 1006');
        const refusal = said.find((text) => text.includes(visit.socket) && text.includes('403'));
        assert.ok(refusal, `the browser says ${JSON.stringify(said)}`);
      });
      await context.close();
    }
  } finally {
    await browser.close();
  }
}

main(checks);
