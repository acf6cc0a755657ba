DROP TABLE system_inventory;
