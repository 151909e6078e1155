-- A keeper's report that waits for another one is judged by the state before it (pg_auto_failover 2.2, decision 24). So a
-- primary could be assigned to go on alone, without synchronous replication, while its standby is promoted. This trigger makes
-- such a report fail; the next one is judged by the new state.
create or replace function public.ha_alone_or_replaced() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if exists (
    select from pgautofailover.node other
    where other.formationid = new.formationid and other.groupid = new.groupid and other.nodeid <> new.nodeid
      and ((new.goalstate = 'wait_primary' and other.goalstate in ('prepare_promotion', 'stop_replication'))
        or (new.goalstate = 'prepare_promotion' and other.goalstate = 'wait_primary'))
  ) then
    raise exception 'node % is not assigned %: this conflicts with the state of the other node', new.nodeid, new.goalstate;
  end if;
  return new;
end $$;

create or replace trigger ha_alone_or_replaced before update of goalstate on pgautofailover.node
for each row when (new.goalstate is distinct from old.goalstate) execute function public.ha_alone_or_replaced();
