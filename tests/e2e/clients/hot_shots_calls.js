// Every call of hot-shots, known totals: node hot_shots_calls.js TRANSPORT ADDRESS MODE COUNT.
//
// TRANSPORT is unixgram or unixstream (ADDRESS is a path), tcp or udp (host:port). MODE is single (a line at a time), packed (as many as fit),
// aggregated (the client sums up) or telegraf (tags in the name). Prints, as JSON, what only the client knows: how many calls its
// sampling let through, and its errors.

const net = require('net');
const StatsD = require('hot-shots');

const [transport, address, mode, times] = process.argv.slice(2);
const count = Number(times);
const errors = [];

const place = () => {
  if (transport === 'unixgram') return { protocol: 'uds', path: address, udsRetryOptions: { retries: 50, retryDelayMs: 5 } };
  if (transport === 'unixstream') return { protocol: 'stream', stream: net.connect(address) };
  const [host, port] = address.split(':');
  return { protocol: transport, host, port: Number(port) };
};

// Sampling has to be the same in every run.
let state = 7;
Math.random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

const client = new StatsD({
  ...place(),
  prefix: 'hs.',
  globalTags: { shop: 'north' },
  maxBufferSize: mode === 'single' ? 0 : 1400,
  telegraf: mode === 'telegraf',
  aggregation: mode === 'aggregated',
  errorHandler: (error) => errors.push(String(error)),
});

// Unbuffered calls wait for their turn: a datagram socket holds few.
const sent = (call) => new Promise((resolve) => (mode === 'single' ? call(resolve) : resolve(call(undefined))));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const run = async () => {
  for (let number = 0; number < count; number += 1) {
    await sent((done) => client.increment('calls', 1, 1, [`kind:${'ab'[number % 2]}`], done));
    await sent((done) => client.increment('pairs', 2, 1, [], done));
    await sent((done) => client.gauge('depth', number, 1, [], done));
    await sent((done) => client.histogram('size', number % 10, 1, [], done));
    await sent((done) => client.distribution('spread', number % 10, 1, [], done));
    await sent((done) => client.timing('took', number % 10, 1, [], done));
    if (mode !== 'aggregated') {
      await sent((done) => client.decrement('falls', 1, 1, [], done));
      await sent((done) => client.gaugeDelta('moves', number % 2 ? -1 : 3, 1, [], done));
    }
    // What is buffered is on its way before more comes.
    if (number % 50 === 49) await new Promise((resolve) => client.flush(resolve));
  }
  state = 7;
  let sampled = 0;
  if (mode !== 'aggregated') {
    for (let number = 0; number < count; number += 1) sampled += Math.random() < 0.5 ? 1 : 0;
    state = 7;
    for (let number = 0; number < count; number += 1) client.increment('sampled', 1, 0.5);
    await new Promise((resolve) => client.flush(resolve));
    state = 7;
    for (let number = 0; number < count; number += 1) client.histogram('weighed', 4, 0.5);
    await new Promise((resolve) => client.flush(resolve));
  }
  client.timer(() => {}, 'timed')();
  await client.asyncTimer(async () => {}, 'async.timed')();
  await client.asyncDistTimer(async () => {}, 'async.spread')();
  if (mode !== 'telegraf') {
    client.event('deployed', 'two\nlines', { alert_type: 'success', priority: 'low', date_happened: new Date() }, ['service:till']);
    client.check('up', client.CHECKS.WARNING, { message: 'slow', hostname: 'h' }, ['zone:a']);
  }
  // All of a set's members within one interval, which the test has set to 5 s.
  while ((Date.now() / 1000) % 5 > 2) await pause(10);
  for (let number = 0; number < 30; number += 1) await sent((done) => client.set('users', number % 3, 1, [], done));
  await new Promise((resolve) => client.close(resolve));
  console.log(JSON.stringify({ sampled, errors }));
};

run();
