// AWS IoT Device SDK v1: thingShadow, over mutual TLS and over WebSocket.
'use strict';

const awsIot = require('aws-iot-device-sdk');
const { assert, gateway, run, step, within } = require('./gateway');

const mtls = {
  protocol: 'mqtts',
  port: gateway.mqtts,
  keyPath: gateway.device.key,
  certPath: gateway.device.cert,
  caPath: gateway.ca,
};

// The URL is signed. The client has no place for a CA here: NODE_EXTRA_CA_CERTS.
const wss = {
  protocol: 'wss',
  port: gateway.wss,
  accessKeyId: gateway.accessKey.id,
  secretKey: gateway.accessKey.secret,
  region: gateway.region,
};

const connect = async (options, clientId) => {
  const shadows = awsIot.thingShadow({ ...options, host: gateway.host, clientId });
  const failed = new Promise((_, reject) => {
    shadows.on('error', reject);
    shadows.on('timeout', (thing, token) => reject(new Error(`operation ${token} on ${thing} timed out`)));
  });
  failed.catch(() => {});
  const next = (event, what) =>
    within(Promise.race([failed, new Promise((resolve) => shadows.once(event, (...args) => resolve(args)))]), what);
  await next('connect', 'connect');
  return { shadows, next };
};

// operation is one request and its answer, which has the request's token.
const operation = async ({ shadows, next }, name, thing, ...args) => {
  const answer = next('status', name);
  const token = shadows[name](thing, ...args);
  assert.ok(token, `${name} was not sent`);
  const [, status, answered, body] = await answer;
  assert.strictEqual(answered, token);
  return { status, body };
};

const shadow = async (options, clientId) => {
  const thing = gateway.thing;
  const client = await connect(options, clientId);
  await within(
    new Promise((resolve, reject) =>
      client.shadows.register(thing, { persistentSubscribe: true }, (err, failed) => {
        if (err || (failed || []).some((t) => t.qos === 128)) reject(err || new Error(`not granted: ${JSON.stringify(failed)}`));
        else resolve();
      }),
    ),
    'register',
  );
  step(`${clientId}: register, seven filters in one SUBSCRIBE`);

  let got = await operation(client, 'get', thing);
  assert.strictEqual(got.status, 'rejected');
  assert.strictEqual(got.body.code, 404);
  assert.strictEqual(got.body.message, `No shadow exists with name: '${thing}'`);
  step(`${clientId}: get of no shadow`);

  const delta = client.next('delta', 'delta');
  got = await operation(client, 'update', thing, { state: { desired: { lamp: 'on' }, reported: { lamp: 'off' } } });
  assert.strictEqual(got.status, 'accepted');
  assert.deepStrictEqual(got.body.state, { desired: { lamp: 'on' }, reported: { lamp: 'off' } });
  const [, difference] = await delta;
  assert.deepStrictEqual(difference.state, { lamp: 'on' });
  step(`${clientId}: update and delta`);

  got = await operation(client, 'update', thing, { state: { reported: { lamp: 'on' } } }); // with a version
  assert.strictEqual(got.status, 'accepted');
  got = await operation(client, 'get', thing);
  assert.strictEqual(got.status, 'accepted');
  assert.deepStrictEqual(got.body.state, { desired: { lamp: 'on' }, reported: { lamp: 'on' } });
  step(`${clientId}: versioned update and get`);

  const other = await connect(wss, `${clientId}-other`);
  await within(new Promise((resolve) => other.shadows.register(thing, { ignoreDeltas: true }, resolve)), 'register');
  const foreign = client.next('foreignStateChange', 'foreignStateChange');
  got = await operation(other, 'update', thing, { state: { desired: { lamp: 'blue' } } });
  assert.strictEqual(got.status, 'accepted');
  const [, kind, change] = await foreign;
  assert.strictEqual(kind, 'update');
  assert.deepStrictEqual(change.state, { desired: { lamp: 'blue' } });
  other.shadows.end();
  step(`${clientId}: change by another client`);

  got = await operation(client, 'delete', thing);
  assert.strictEqual(got.status, 'accepted');
  got = await operation(client, 'delete', thing);
  assert.strictEqual(got.body.code, 404);
  client.shadows.end();
  step(`${clientId}: delete`);
};

run(async () => {
  await shadow(mtls, gateway.thing);
  await shadow(wss, `${gateway.thing}-wss`);
});
