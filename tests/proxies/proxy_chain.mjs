// A proxy-chain server that wants Basic credentials; started by `run`, beside the folder `node_modules` that has the package.
//
// usage: node proxy_chain.mjs PORT USER PASSWORD
import { Server } from 'proxy-chain';

const [port, user, password] = process.argv.slice(2);
const server = new Server({
  host: '127.0.0.1',
  port: Number(port),
  prepareRequestFunction: (asked) => ({ requestAuthentication: asked.username !== user || asked.password !== password }),
});
await server.listen();
