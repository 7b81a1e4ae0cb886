// AWS IoT Device SDK v2: the shadow client over MQTT 3.1.1 and 5, classic and
// named, and the older one of callbacks.
'use strict';

const { iot, iotshadow, mqtt, mqtt5 } = require('aws-iot-device-sdk-v2');
const { assert, gateway, run, step, within } = require('./gateway');

const shadowOptions = { maxRequestResponseSubscriptions: 10, maxStreamingSubscriptions: 10, operationTimeoutInSeconds: 20 };

const connect311 = async (clientId) => {
  const config = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder_from_path(gateway.device.cert, gateway.device.key)
    .with_certificate_authority_from_path(undefined, gateway.ca)
    .with_clean_session(true)
    .with_client_id(clientId)
    .with_endpoint(gateway.host)
    .with_port(gateway.mqtts)
    .build();
  const connection = new mqtt.MqttClient().new_connection(config);
  await within(connection.connect(), 'connect');
  return connection;
};

const connect5 = async (clientId) => {
  const config = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(
    gateway.host,
    gateway.device.cert,
    gateway.device.key,
  )
    .withCertificateAuthorityFromPath(undefined, gateway.ca)
    .withPort(gateway.mqtts)
    .withConnectProperties({ clientId, keepAliveIntervalSeconds: 60 })
    .build();
  const client = new mqtt5.Mqtt5Client(config);
  const up = new Promise((resolve, reject) => {
    client.once('connectionSuccess', resolve);
    client.once('connectionFailure', (event) => reject(event.error));
  });
  client.start();
  await within(up, 'connect');
  return client;
};

const rejected = async (promise, code, message) => {
  let err;
  try {
    await promise;
  } catch (e) {
    err = e;
  }
  assert.ok(err, `want ${code}, got an answer`);
  assert.strictEqual(err.modeledError?.code, code, String(err));
  assert.strictEqual(err.modeledError.message, message);
};

// stream opens one and returns what waits for its next event.
const stream = async (operation) => {
  const events = [];
  const waiting = [];
  operation.on('incomingPublish', (e) => (waiting.length ? waiting.shift()(e.message) : events.push(e.message)));
  const up = new Promise((resolve) => operation.once('subscriptionStatus', resolve));
  operation.open();
  await within(up, 'stream');
  return {
    next: () => within(new Promise((resolve) => (events.length ? resolve(events.shift()) : waiting.push(resolve))), 'event'),
    close: () => operation.close(),
  };
};

// operations runs all of a shadow's, by the names that the client has for them.
const operations = async (what, client, thingName, shadowName) => {
  const named = shadowName ? 'Named' : '';
  const id = shadowName ? { thingName, shadowName } : { thingName };
  const text = `No shadow exists with name: '${thingName}${shadowName ? `~${shadowName}` : ''}'`;
  const call = (name, request) => within(client[`${name}${named}Shadow`]({ ...id, ...request }), name);

  await rejected(call('get'), 404, text);
  const deltas = await stream(client[`create${named}ShadowDeltaUpdatedStream`](id));
  const updates = await stream(client[`create${named}ShadowUpdatedStream`](id));

  let got = await call('update', { state: { desired: { color: 'green', dim: [1, 2] }, reported: { color: 'red' } } });
  assert.deepStrictEqual(got.state, { desired: { color: 'green', dim: [1, 2] }, reported: { color: 'red' } });
  const version = got.version;
  assert.deepStrictEqual((await deltas.next()).state, { color: 'green', dim: [1, 2] });
  const updated = await updates.next();
  assert.ok(!updated.previous?.state);
  assert.strictEqual(updated.current.version, version);
  step(`${what}: update, delta, documents`);

  await rejected(call('update', { state: { desired: {} }, version: version + 7 }), 409, 'Version conflict');
  got = await call('update', { state: { desired: { color: null } }, version });
  assert.strictEqual(got.version, version + 1);
  got = await call('get');
  assert.deepStrictEqual(got.state.desired, { dim: [1, 2] });
  assert.deepStrictEqual(got.state.delta, { dim: [1, 2] });
  assert.ok(Number(got.timestamp) > 1.5e9, String(got.timestamp)); // seconds, in the client of requests
  step(`${what}: version, null, get`);

  got = await call('delete');
  assert.strictEqual(got.version, version + 1);
  await rejected(call('delete'), 404, text);
  deltas.close();
  updates.close();
  step(`${what}: delete`);
};

// callbacks is the older client: subscriptions first, answers apart.
const callbacks = async (connection, thingName) => {
  const client = new iotshadow.IotShadowClient(connection);
  const qos = mqtt.QoS.AtLeastOnce;
  const answer = {};
  const subscribe = (name, request) => {
    answer[name] = new Promise((resolve, reject) => {
      client[`subscribeTo${name}`](request, qos, (err, body) => (err ? reject(err) : resolve(body))).catch(reject);
    });
  };
  for (const name of ['UpdateShadowAccepted', 'UpdateShadowRejected', 'GetShadowAccepted', 'DeleteShadowAccepted', 'ShadowDeltaUpdatedEvents']) {
    subscribe(name, { thingName });
  }
  await client.publishUpdateShadow({ thingName, clientToken: 'one', state: { desired: { x: 1 } } }, qos);
  assert.strictEqual((await within(answer.UpdateShadowAccepted, 'accepted')).clientToken, 'one');
  assert.deepStrictEqual((await within(answer.ShadowDeltaUpdatedEvents, 'delta')).state, { x: 1 });
  await client.publishGetShadow({ thingName, clientToken: 'two' }, qos);
  assert.deepStrictEqual((await within(answer.GetShadowAccepted, 'document')).state.desired, { x: 1 });
  await client.publishUpdateShadow({ thingName, clientToken: 'three', version: 99999, state: {} }, qos);
  assert.strictEqual((await within(answer.UpdateShadowRejected, 'rejected')).code, 409);
  await client.publishDeleteShadow({ thingName, clientToken: 'four' }, qos);
  assert.strictEqual((await within(answer.DeleteShadowAccepted, 'deleted')).clientToken, 'four');
  step('callbacks: update, delta, get, rejected, delete');
};

run(async () => {
  const thing = gateway.thing;
  const three = await connect311(thing);
  let client = iotshadow.IotShadowClientv2.newFromMqtt311(three, shadowOptions);
  await operations('3.1.1 classic', client, thing);
  await operations('3.1.1 named', client, thing, 'config');
  client.close();
  await callbacks(three, thing);
  await within(three.disconnect(), 'disconnect');

  const five = await connect5(thing);
  client = iotshadow.IotShadowClientv2.newFromMqtt5(five, shadowOptions);
  await operations('5 classic', client, thing);
  await operations('5 named', client, thing, 'config');
  client.close();
  const down = new Promise((resolve) => five.once('stopped', resolve));
  five.stop();
  await within(down, 'stop');
  five.close();
});
