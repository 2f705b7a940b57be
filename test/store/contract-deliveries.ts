import { describe, expect, it } from 'vitest';
import type { Delivery } from '../../controller/model.ts';
import type { NewHome } from './home.ts';
import { ODD_TEXT, deliveryOf } from './samples.ts';

const names = (deliveries: readonly Delivery[]) => deliveries.map(({ notice, channel }) => `${notice.id} to ${channel}`);

export function deliveriesContract(home: NewHome): void {
  describe('the queue of notices', () => {
    it('tells those that wait, of one channel or of all, oldest notice first, also after it was closed', async () => {
      await using place = await home();
      const first = await place.open();
      await first.transaction(async (view) => {
        for (const notice of ['n2', 'n1']) for (const channel of ['b', 'a']) await view.addDelivery(deliveryOf(notice, channel));
      });
      await first.close();
      const store = await place.open();
      expect(names(await store.waitingDeliveries())).toEqual(['n2 to b', 'n2 to a', 'n1 to b', 'n1 to a']);
      expect(await store.waitingDeliveries('a')).toEqual([deliveryOf('n2', 'a'), deliveryOf('n1', 'a')]);
      expect(await store.waitingDeliveries('c')).toEqual([]);
    });

    it('takes a notice once a channel, whatever became of it', async () => {
      await using place = await home();
      const store = await place.open();
      const done = deliveryOf('n1', 'a', { state: 'delivered', endedMs: 5 });
      await store.transaction((view) => view.addDelivery(deliveryOf('n1', 'a')));
      await store.transaction((view) => view.changeDelivery(done));
      await store.transaction((view) => view.addDelivery(deliveryOf('n1', 'a')));
      expect(await store.waitingDeliveries()).toEqual([]);
      expect(await store.deliveriesOf(['n1'])).toEqual([done]);
    });

    it('keeps what became of each, with its reason, and changes nothing that is not there', async () => {
      await using place = await home();
      const store = await place.open();
      const fault = { code: 'TIMEOUT', message: ODD_TEXT, hint: '' };
      const waits = deliveryOf('n1', 'a', { attempts: 3, pausedMs: 7, nextMs: 9, fault });
      const given = deliveryOf('n1', 'b', { state: 'givenUp', attempts: 4, fault, endedMs: 8 });
      await store.transaction(async (view) => {
        for (const channel of ['a', 'b']) await view.addDelivery(deliveryOf('n1', channel));
        await view.addDelivery(deliveryOf('n2', 'a'));
        for (const delivery of [waits, given, deliveryOf('n3', 'a')]) await view.changeDelivery(delivery);
      });
      expect(await store.deliveriesOf(['n1', 'n3', 'none'])).toEqual([waits, given]);
      expect(await store.deliveriesOf([])).toEqual([]);
      expect(names(await store.waitingDeliveries())).toEqual(['n1 to a', 'n2 to a']);
    });

    it('tells the deliveries of more notices than a statement may name', async () => {
      await using place = await home();
      const store = await place.open();
      const ids = Array.from({ length: 1201 }, (_none, number) => `n${number}`);
      await store.transaction(async (view) => {
        for (const id of ['n1200', 'n0']) await view.addDelivery(deliveryOf(id, 'a'));
      });
      expect(names(await store.deliveriesOf(ids))).toEqual(['n1200 to a', 'n0 to a']);
    });

    it('forgets what ended before a time, and never what waits', async () => {
      await using place = await home();
      const store = await place.open();
      await store.transaction(async (view) => {
        for (const id of ['waits', 'old', 'new']) await view.addDelivery(deliveryOf(id, 'a'));
        await view.changeDelivery(deliveryOf('old', 'a', { state: 'givenUp', endedMs: 9 }));
        await view.changeDelivery(deliveryOf('new', 'a', { state: 'delivered', endedMs: 10 }));
        await view.forgetDeliveries(10);
      });
      expect(names(await store.deliveriesOf(['waits', 'old', 'new']))).toEqual(['waits to a', 'new to a']);
    });

    it('has no notice of a change that was not written', async () => {
      await using place = await home();
      const store = await place.open();
      const fails = store.transaction(async (view) => {
        await view.addDelivery(deliveryOf('n1', 'a'));
        throw new Error('the caller changed its mind');
      });
      await expect(fails).rejects.toThrow('the caller changed its mind');
      expect(await store.waitingDeliveries()).toEqual([]);
    });
  });
}
