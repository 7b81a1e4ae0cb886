// AWS SDK for JavaScript v3: the data plane over HTTPS with a client certificate.
'use strict';

const fs = require('node:fs');
const https = require('node:https');
const { NodeHttpHandler } = require('@smithy/node-http-handler');
const sdk = require('@aws-sdk/client-iot-data-plane');
const { assert, gateway, run, step, within } = require('./gateway');

// client shows a certificate, or signs what it sends.
const newClient = (identity, accessKey) =>
  new sdk.IoTDataPlaneClient({
    endpoint: `https://${gateway.host}:${gateway.https}`,
    region: gateway.region,
    credentials: { accessKeyId: accessKey?.id ?? 'none', secretAccessKey: accessKey?.secret ?? 'none' },
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({
      httpsAgent: new https.Agent({
        ca: fs.readFileSync(gateway.ca),
        cert: identity && fs.readFileSync(identity.cert),
        key: identity && fs.readFileSync(identity.key),
      }),
    }),
  });

const sender = (client) => (name, input) => within(client.send(new sdk[`${name}Command`](input)), name);
const text = (bytes) => Buffer.from(bytes).toString();
const json = (bytes) => JSON.parse(text(bytes));

const rejected = async (promise, kind, status, message) => {
  let err;
  try {
    await promise;
  } catch (e) {
    err = e;
  }
  assert.ok(err, `want ${kind}, got an answer`);
  assert.ok(err instanceof sdk[kind], `${err.name} (${err.message}) is no ${kind}`);
  assert.strictEqual(err.$metadata.httpStatusCode, status);
  assert.ok(err.$metadata.requestId, 'no request id');
  if (message) assert.strictEqual(err.message, message);
};

const shadow = async (who, send, thingName, shadowName) => {
  const what = `${who}, ${shadowName || 'classic'}`;
  const id = shadowName ? { thingName, shadowName } : { thingName };
  const missing = `No shadow exists with name: '${thingName}${shadowName ? `~${shadowName}` : ''}'`;
  await rejected(send('GetThingShadow', id), 'ResourceNotFoundException', 404, missing);
  const update = (document) => send('UpdateThingShadow', { ...id, payload: Buffer.from(JSON.stringify(document)) });
  let got = json((await update({ state: { desired: { a: 1 }, reported: { a: 2 } }, clientToken: 'x' })).payload);
  assert.strictEqual(got.clientToken, 'x');
  await rejected(update({ state: {}, version: got.version + 5 }), 'ConflictException', 409, 'Version conflict');
  await rejected(update({ no: 'state' }), 'InvalidRequestException', 400, 'Missing required node: state');
  await rejected(update({ state: { desired: { a: 'x'.repeat(8200) } } }), 'RequestEntityTooLargeException', 413);
  const { version } = got;
  got = json((await send('GetThingShadow', id)).payload);
  assert.deepStrictEqual(got.state, { desired: { a: 1 }, reported: { a: 2 }, delta: { a: 1 } });
  if (shadowName) {
    got = await send('ListNamedShadowsForThing', { thingName, pageSize: 1 });
    assert.deepStrictEqual(got.results, [shadowName]);
  }
  got = json((await send('DeleteThingShadow', id)).payload);
  assert.strictEqual(got.version, version);
  await rejected(send('DeleteThingShadow', id), 'ResourceNotFoundException', 404, missing);
  step(`${what}: update, get, delete and their errors`);
};

const messages = async (who, send, topic) => {
  await send('Publish', {
    topic,
    qos: 1,
    retain: true,
    payload: Buffer.from('hello'),
    contentType: 'text/plain',
    responseTopic: `${topic}/back`,
    messageExpiry: 600,
    payloadFormatIndicator: 'UTF8_DATA',
    correlationData: Buffer.from('c').toString('base64'),
    userProperties: JSON.stringify([{ a: '1' }, { b: '2' }]),
  });
  const kept = await send('GetRetainedMessage', { topic });
  assert.strictEqual(text(kept.payload), 'hello');
  assert.strictEqual(kept.qos, 1);
  assert.ok(Math.abs(kept.lastModifiedTime - Date.now()) < 600000);
  assert.deepStrictEqual(json(kept.userProperties), [{ a: '1' }, { b: '2' }]);
  await rejected(send('GetRetainedMessage', { topic: `${topic}/none` }), 'ResourceNotFoundException', 404);
  step(`${who}: publish and retained message`);
};

run(async () => {
  const { thing } = gateway;
  const device = sender(newClient(gateway.device));
  await shadow('device', device, thing);
  await shadow('device', device, thing, 'config');
  await messages('device', device, `dt/${thing}/x`);
  await rejected(device('GetThingShadow', { thingName: 'another' }), 'ForbiddenException', 403);
  await rejected(device('Publish', { topic: 'another/topic' }), 'ForbiddenException', 403);
  step('device: its own thing and no other');

  for (const [who, send] of [
    ['certificate', sender(newClient(gateway.app))],
    ['signature', sender(newClient(undefined, gateway.accessKey))],
  ]) {
    await shadow(who, send, thing, 'config');
    await messages(who, send, `any/topic of a ${who}`);
    const listed = await send('ListRetainedMessages', { maxResults: 1 });
    assert.deepStrictEqual([listed.retainedTopics.length, Number(listed.retainedTopics[0].payloadSize)], [1, 5]);
    assert.ok(listed.nextToken);
    const shadowTopic = `$aws/things/${thing}/shadow/update`;
    await send('Publish', { topic: shadowTopic, qos: 1, payload: Buffer.from('{"state":{"reported":{"b":1}}}') });
    assert.deepStrictEqual(json((await send('GetThingShadow', { thingName: thing })).payload).state, { reported: { b: 1 } });
    await rejected(send('Publish', { topic: `${shadowTopic}/accepted`, payload: Buffer.from('{}') }), 'ForbiddenException', 403);
    await rejected(send('DeleteConnection', { clientId: 'nobody' }), 'ResourceNotFoundException', 404);
    await send('DeleteThingShadow', { thingName: thing });
    step(`${who}: lists, a shadow by its topic, connections`);
  }
  const wrong = sender(newClient(undefined, { ...gateway.accessKey, secret: 'guessed' }));
  await rejected(wrong('GetThingShadow', { thingName: thing }), 'UnauthorizedException', 401, 'Unauthorized');
  step('wrong signature');
});
