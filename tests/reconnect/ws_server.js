// Node's `ws` as a server to which clients come back; started by `run`.
//
// usage: node ws_server.js PORT
//
// It does what `websockets_server.py` says, without /commands.
'use strict';
const { WebSocketServer } = require('ws');

const requests = new Map();

function verifyClient({ req }, answer) {
  console.log(`request ${req.url}`);
  const count = (requests.get(req.url) ?? 0) + 1;
  requests.set(req.url, count);
  const what = req.url.split('/')[1];
  if (what === 'busy' && count <= 2) {
    answer(false, 503, 'busy', { 'Retry-After': '2' });
  } else if (what === 'login') {
    answer(false, 401, 'who are you?');
  } else {
    answer(true);
  }
}

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096, verifyClient });

server.on('listening', () => console.log('listening'));

server.on('connection', (ws, { url }) => {
  const [, what, code] = url.split('/');
  ws.on('error', () => {});
  if (what === 'close' && requests.get(url) === 1) {
    if (code === 'none') ws.close();
    else ws.close(Number(code));
    return;
  }
  ws.on('message', (data, isBinary) => {
    console.log(`got ${url} ${data.toString().slice(0, 80)}`);
    ws.send(data, { binary: isBinary });
  });
});
